// Package invariant states what must stay true and stops the process when it
// does not, before the damage can reach a client or the disk.
//
// Assert is for what costs nothing and is always on. Walks over whole
// structures go behind Enabled, which only builds with the tag `invariants`
// set; tests run both ways. Yield marks the points between which the
// deterministic scheduler of the tests may switch goroutines.
package invariant

// Assert panics with msg when cond is false. A failed assertion is a defect in
// HyperKV, never a client's mistake.
func Assert(cond bool, msg string) {
	if !cond {
		panic("invariant violated: " + msg)
	}
}
