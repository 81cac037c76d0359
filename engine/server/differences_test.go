package server_test

// differences are the places where COMMAND and COMMAND DOCS must say something
// else than Redis 7.0 does, and why.
var differences = map[string]string{}
