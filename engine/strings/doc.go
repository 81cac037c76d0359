// Package strings holds the commands on string values.
//
// A string is any bytes, up to half a gigabyte. Text that is exactly what a
// 64-bit integer prints as is kept as that integer, which costs less and is
// what INCR works on; whoever reads the value gets the text back. Commands that
// change bytes in place (APPEND, SETRANGE) turn it into raw bytes for good, as
// in Redis, because OBJECT ENCODING tells.
//
//	SET, GETEX, MSETEX ──► options (options.go): condition, expiry, what to answer
//	                          │
//	                          ▼
//	      condition met? ──► DB.Set / Delete ──► events ──► effect: the outcome,
//	                                                        with an absolute time
//
// Two commands are rate limiters: see rate.go.
//
// Start with the table in strings.go, then options.go for what SET and its
// relatives have in common.
package strings
