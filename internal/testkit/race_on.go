//go:build race

package testkit

// raceEnabled makes the binary under test watch for races when the test does.
const raceEnabled = true
