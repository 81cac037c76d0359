package server

import (
	"testing"

	"hyperkv/engine"
	"hyperkv/engine/strings"
	"hyperkv/internal/familykit"
)

// testEngine is this family beside those of MULTI and of the strings.
func testEngine(t testing.TB, settings map[string]string) *engine.Engine {
	t.Helper()
	return familykit.NewEngine(t, settings, Family, engine.Transactions, strings.Family)
}

func connect(t testing.TB, e *engine.Engine) *engine.Client {
	t.Helper()
	c, err := e.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
