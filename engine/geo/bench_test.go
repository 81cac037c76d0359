package geo_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkSearch looks for places around the middle of ten thousand: about twelve
// hundred, the nearest ten of these, and a dozen.
func BenchmarkSearch(b *testing.B) {
	c := newServer(b, 1, nil)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 10_000 {
		if _, err := c.Do("GEOADD", "k", number(13+r.NormFloat64(), 6), number(38+r.NormFloat64(), 6), fmt.Sprint("m", i)); err != nil {
			b.Fatal(err)
		}
	}
	for _, test := range []struct {
		name string
		args []string
	}{
		{"50km", []string{"50", "km"}},
		{"50km,count", []string{"50", "km", "ASC", "COUNT", "10"}},
		{"50km,dist", []string{"50", "km", "WITHDIST"}},
		{"5km,dist", []string{"5", "km", "WITHDIST"}},
	} {
		b.Run(test.name, func(b *testing.B) {
			args := append([]string{"GEOSEARCH", "k", "FROMLONLAT", "13", "38", "BYRADIUS"}, test.args...)
			for b.Loop() {
				if _, err := c.Do(args...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
