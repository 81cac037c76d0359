//go:build !invariants

package invariant

// Enabled says that this build walks its structures to check them.
const Enabled = false

// Yield does nothing in this build and costs nothing.
func Yield(string) {}
