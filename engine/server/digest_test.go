package server

import (
	"math"
	"os"
	"os/exec"
	"testing"
)

// The texts are those that C's printf writes for %.17g.
func TestAppendScore(t *testing.T) {
	f := func(score float64, want string) {
		t.Helper()
		if have := string(appendScore(nil, score)); have != want {
			t.Errorf("%v is written %s, want %s", score, have, want)
		}
	}
	f(0, "0")
	f(1, "1")
	f(-1.5, "-1.5")
	f(0.1, "0.10000000000000001")
	f(100, "100")
	f(0.0001, "0.0001")
	f(0.00001, "1.0000000000000001e-05")
	f(123456789012345678, "1.2345678901234568e+17")
	f(1e16, "10000000000000000")
	f(1e17, "1e+17")
	f(1e100, "1e+100")
	f(math.SmallestNonzeroFloat64, "4.9406564584124654e-324")
	f(math.MaxFloat64, "1.7976931348623157e+308")
	f(math.Inf(1), "inf")
	f(math.Inf(-1), "-inf")
}

// Where Go ends a process that uses SHA-1, asking for a digest must not end the server.
func TestDigestWhereSHA1IsForbidden(t *testing.T) {
	const forbidden = "fips140=only"
	if os.Getenv("GODEBUG") != forbidden {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "GODEBUG="+forbidden)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	c := connect(t, testEngine(t, map[string]string{"enable_debug_command": "yes"}))
	for _, command := range [][]string{{"SET", "a", "1"}, {"DEBUG", "DIGEST"}, {"DEBUG", "DIGEST-VALUE", "a"}} {
		if v, err := c.Do(command...); err != nil || v.Err() != nil {
			t.Errorf("%q: %v %v", command, v, err)
		}
	}
}
