package migrate

import (
	"context"
	"strconv"
	"strings"
	"testing"
)

// Keys that go over several connections all arrive, each in its database, and what is wrong with
// one is told, whichever connection it took.
func TestSpread(t *testing.T) {
	to, c := redisServer(t, t.TempDir())
	var names []string
	for i := range 10_000 {
		names = append(names, "key"+strconv.Itoa(i))
	}
	move := func(o ServerOptions, names []string) error {
		target, err := NewSpread(context.Background(), Address{Host: to.Addr}, o, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		for database := range 2 {
			if err := (keys{names: names, database: database}).Copy(context.Background(), target); err != nil {
				return err
			}
		}
		return target.End()
	}
	whole := func() {
		t.Helper()
		for database := range 2 {
			do(t, c, "SELECT", strconv.Itoa(database))
			if n := do(t, c, "DBSIZE").Int; n != int64(len(names)) {
				t.Errorf("database %d has %d keys", database, n)
			}
		}
	}
	if err := move(ServerOptions{}, names); err != nil {
		t.Fatal(err)
	}
	whole()
	for i := range 20 {
		name := "key" + strconv.Itoa(i)
		if err := move(ServerOptions{}, []string{name}); err == nil || !strings.Contains(err.Error(), strconv.Quote(name)) {
			t.Errorf("%s once more: %v", name, err)
		}
	}
	if err := move(ServerOptions{Replace: true}, names); err != nil {
		t.Error(err)
	}
	do(t, c, "SET", "old", "1")
	if err := move(ServerOptions{Flush: true}, names); err != nil {
		t.Error(err)
	}
	whole()
}
