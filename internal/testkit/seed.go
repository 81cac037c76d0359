package testkit

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// Seed is what a test begins its random choices with: another one at each run, unless
// HYPERKV_TEST_SEED repeats one. A test that fails shows it.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("HYPERKV_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("HYPERKV_TEST_SEED: %v", err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("HYPERKV_TEST_SEED=%d", seed)
		}
	})
	return seed
}
