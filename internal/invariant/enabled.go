//go:build invariants

package invariant

// Enabled says that this build walks its structures to check them.
const Enabled = true

// yield is what Yield calls; the deterministic scheduler installs it.
var yield func(point string)

// SetYield installs the function that Yield calls, nil for none. It must be
// called while no other goroutine is inside code that yields.
func SetYield(f func(point string)) { yield = f }

// Yield tells the deterministic scheduler that another goroutine may run here.
func Yield(point string) {
	if yield != nil {
		yield(point)
	}
}
