//go:build race

package netio

const raceEnabled = true // memory figures mean nothing
