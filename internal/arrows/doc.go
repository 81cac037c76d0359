// Package arrows holds the test that keeps the imports of the module as
// docs/ARCHITECTURE.md draws them. There is nothing in it to import.
//
// An arrow that is not in the table of arrows_test.go is a decision: change the
// drawing first, then the table.
package arrows
