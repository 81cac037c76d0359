package connection

import (
	"errors"
	"net"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/engine/keys"
	"hyperkv/engine/strings"
	"hyperkv/internal/familykit"
	"hyperkv/internal/testkit"
)

// serve is this family behind real sockets, because much of it is about addresses,
// and beside the commands that it has to do with.
func serve(t testing.TB, settings map[string]string) *familykit.Server {
	t.Helper()
	return familykit.Serve(t, settings, Family, engine.Transactions, strings.Family, keys.Family)
}

func TestTranscripts(t *testing.T) {
	one := serve(t, map[string]string{"worker_threads": "1"})
	three := serve(t, map[string]string{"worker_threads": "3"})
	testkit.RunTranscripts(t, "testdata/*.txt", testkit.Redis(t), one, three, testkit.Burst(three))
}

// ask runs a command and returns its reply as text.
func ask(t testing.TB, c testkit.Client, args ...string) string {
	t.Helper()
	v, err := c.Do(args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v.Text()
}

func expect(t testing.TB, want string, c testkit.Client, args ...string) {
	t.Helper()
	if got := ask(t, c, args...); got != want {
		t.Fatalf("%v: got %q, want %q", args, got, want)
	}
}

// gone waits until the server has closed the connection.
func gone(t testing.TB, c testkit.Client) {
	t.Helper()
	if v, err := c.Receive(5 * time.Second); err == nil {
		t.Fatalf("got %q from a connection that should be closed", v.Text())
	} else if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Fatal("the connection is still open")
	}
}
