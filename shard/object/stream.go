package object

// streamTrees is how many trees a stream has: its entries, and its groups.
const streamTrees = 2

// freeGroups frees what the groups in a tree refer to.
func freeGroups(*Tree) {}

// copyGroups gives the groups of a tree, which were copied from those of another,
// copies of their own of what they refer to.
func copyGroups(fresh, old *Tree) {}
