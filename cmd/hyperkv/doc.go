// Command hyperkv is the server and its tools in one binary.
//
// "hyperkv" alone means "hyperkv serve": read the configuration, set up logs
// and limits, start the server, and wait for a signal or SHUTDOWN. This package
// owns the process (signals, exit codes, files, what is printed) and connects
// the parts that do not know each other; server.go does the connecting.
//
// Start with serve.go, the life of the process.
package main
