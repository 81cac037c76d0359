// Package resp speaks the Redis protocol, in both versions and both directions.
//
// A server reads commands with a Parser and answers through a Writer; a client
// does the reverse with AppendCommand and ReadValue. Nothing here does I/O or
// knows a command: bytes come in as a slice, bytes go out by being appended.
//
//	read buffer ──► Parser.Next ──► arguments, borrowed from the buffer
//	                    │ incomplete: it remembers how far it came, and Need
//	                    ▼ says how much is worth waiting for
//	               *ProtocolError: answer it, then close
//
//	handler ──► Writer (Proto 2 or 3) ──► Buf, the bytes to send
//
// Arguments live exactly as long as the buffer they were read from. The wire is
// read as generously and refused in the same words as Redis does it, because
// clients were written against what Redis does and not against a grammar.
//
// The texts of errors that many commands share are written down once, in
// errors.go. numbers.go holds the number syntax of the protocol and of the
// commands, including the extended precision of INCRBYFLOAT.
//
// Start with Parser.Next in parser.go, then Writer in writer.go.
package resp
