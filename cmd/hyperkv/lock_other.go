//go:build !unix

package main

// lockFolder has no effect where it is not implemented.
func lockFolder(string) (unlock func(), err error) { return func() {}, nil }
