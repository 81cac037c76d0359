package geo_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"hyperkv/engine"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

// pair are the two that must agree: a real Redis and our own commands.
type pair struct {
	t     *testing.T
	judge testkit.Client
	ours  *engine.Client
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, judge: testkit.Redis(t).Dial(t), ours: newServer(t, 1, nil)}
	if _, err := p.judge.Do("HELLO", "3"); err != nil { // as a client within the process
		t.Fatal(err)
	}
	t.Cleanup(func() { p.judge.Close() })
	return p
}

// ask sends a command to both.
func (p *pair) ask(args ...string) (want, have resp.Value) {
	p.t.Helper()
	want, err := p.judge.Do(args...)
	if err != nil {
		p.t.Fatal(err)
	}
	if have, err = p.ours.Do(args...); err != nil {
		p.t.Fatal(err)
	}
	return want, have
}

func number(f float64, digits int) string { return strconv.FormatFloat(f, 'f', digits, 64) }

// Among thousands of places all over the world, near the poles and on both sides of
// the date line, every search finds the same ones at the same distances.
func TestSearchAgainstRedis(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	somewhere := func() (lon, lat string) {
		switch r.IntN(4) {
		case 0:
			return number(r.Float64()*360-180, 7), number(r.Float64()*170-85, 7)
		case 1:
			return number(r.Float64()*360-180, 7), number(80+r.Float64()*5, 7)
		case 2:
			return number(float64(179*(r.IntN(2)*2-1))+r.Float64(), 7), number(r.NormFloat64()*20, 7)
		}
		return number(13+r.NormFloat64(), 7), number(38+r.NormFloat64(), 7)
	}
	for range 300 {
		args := []string{"GEOADD", "k"}
		for range 10 {
			lon, lat := somewhere()
			args = append(args, lon, lat, fmt.Sprint(r.Uint32()))
		}
		p.ask(args...)
	}
	found := 0
	for range 500 {
		lon, lat := somewhere()
		args := []string{"GEOSEARCH", "k", "FROMLONLAT", lon, lat}
		size := func() string { return number(r.ExpFloat64()*[]float64{30, 300, 3000, 20000}[r.IntN(4)], 3) }
		if r.IntN(2) == 0 {
			args = append(args, "BYRADIUS", size(), "km")
		} else {
			args = append(args, "BYBOX", size(), size(), "km")
		}
		args = append(args, []string{"", "ASC", "DESC", "ASC COUNT 7", "DESC COUNT 40", "COUNT 3", "COUNT 5 ANY"}[r.IntN(7)])
		args = strings.Fields(strings.Join(args, " "))
		want, have := p.ask(append(args, "WITHDIST", "WITHHASH", "WITHCOORD")...)
		found += len(want.Elems)
		if want.String() != have.String() {
			t.Errorf("%q:\n%v\nwant\n%v", args, have, want)
		}
	}
	if found < 10_000 {
		t.Errorf("only %d places were found, which proves little", found)
	}
}

// Stored distances are the same to the last of seventeen digits, but for the odd
// one: the C library does not round all of its sines correctly.
func TestStoredDistancesAgainstRedis(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(3, 4))
	args := []string{"GEOADD", "k"}
	for i := range 2000 {
		args = append(args, number(r.Float64()*360-180, 7), number(r.Float64()*170-85, 7), fmt.Sprint(i))
	}
	p.ask(args...)
	p.ask("GEOSEARCHSTORE", "d", "k", "FROMLONLAT", "13", "38", "BYRADIUS", "30000", "km", "STOREDIST")
	differ := 0
	for i := range 2000 {
		want, have := p.ask("ZSCORE", "d", fmt.Sprint(i))
		switch {
		case want.Float == have.Float:
		case math.Abs(want.Float-have.Float) < 1e-10*want.Float:
			differ++
		default:
			t.Errorf("%d: %v, want %v", i, have, want)
		}
	}
	if differ > 40 {
		t.Errorf("%d of 2000 distances differ in the last digits", differ)
	}
	t.Log(differ, "differ")
}
