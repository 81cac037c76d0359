package strings

import (
	"fmt"
	"testing"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/internal/familykit"
)

// The example with which redis-cell tests itself: five at once, one a second.
func TestThrottle(t *testing.T) {
	start := int64(1_000_000)
	now := clock.NewManual(start)
	c := handlers(t, familykit.Options{Clock: now}).Client(t)
	for i, step := range []struct {
		at, quantity                     int64
		limited, remaining, retry, reset int64
	}{
		{0, 6, 1, 5, -1, 0}, // more than there ever are
		{0, 1, 0, 4, -1, 1},
		{0, 1, 0, 3, -1, 2},
		{0, 1, 0, 2, -1, 3},
		{0, 1, 0, 1, -1, 4},
		{0, 1, 0, 0, -1, 5},
		{0, 1, 1, 0, 1, 5},
		{3000, 1, 0, 2, -1, 3},
		{3100, 1, 0, 1, -1, 4}, // 3.9 s
		{4000, 1, 0, 1, -1, 4},
		{8000, 1, 0, 4, -1, 1},
		{9500, 1, 0, 4, -1, 1},
		{9500, 0, 0, 4, -1, 1}, // a look costs nothing
		{9500, 2, 0, 2, -1, 3},
		{9500, 5, 1, 2, 3, 3},
	} {
		now.Set(start + step.at)
		want := fmt.Sprintf("1) (integer) %d\n2) (integer) 5\n3) (integer) %d\n4) (integer) %d\n5) (integer) %d",
			step.limited, step.remaining, step.retry, step.reset)
		if have := c.Line(fmt.Sprintf("CL.THROTTLE k 4 1 1 %d", step.quantity)); have != want {
			t.Errorf("step %d:\n%s\nwant\n%s", i, have, want)
		}
	}
	now.Advance(3 * time.Second)
	if have := c.Line("EXISTS k"); have != "(integer) 0" {
		t.Errorf("the key is still there when all is forgotten: %s", have)
	}
}

// At the end of the range of a long double.
func TestIncrExFloatRange(t *testing.T) {
	c := handlers(t, familykit.Options{Clock: clock.NewManual(1_000_000)}).Client(t)
	c.Line("SET k 1e4932")
	if have := c.Line("INCREX k BYFLOAT 1e4932 UBOUND 100"); len(have) < 4932 {
		t.Errorf("a sum that is too large: %s", have)
	}
	c.Line("SET k 10")
	for _, test := range [][2]string{
		{"INCREX k BYFLOAT 1e4932 UBOUND 100", "1) \"10\"\n2) \"0\""},
		{"INCREX k BYFLOAT 1e4932 UBOUND 100 SATURATE", "1) \"100\"\n2) \"90\""},
		{"INCREX k BYFLOAT -1e4932 LBOUND -100 SATURATE", "1) \"-100\"\n2) \"-200\""},
		{"INCREX k BYFLOAT 1 LBOUND 1.1e4932 SATURATE UBOUND 1.18e4932", ""},
		{"INCREX k BYFLOAT 1 UBOUND -1.1e4932 SATURATE", "(error) ERR applied increment would be Infinity"},
	} {
		if have := c.Line(test[0]); test[1] != "" && have != test[1] {
			t.Errorf("%s: %s, want %s", test[0], have, test[1])
		}
	}
	c.Line("SET k 1.1e4932")
	c.Line("INCREX k BYFLOAT 1.1e4932 SATURATE")
	const most = "\"1189731495357231765021263853"
	if have := c.Line("GET k"); have[:len(most)] != most || len(have) != 4933+2 {
		t.Errorf("the largest number is %s", have)
	}
}
