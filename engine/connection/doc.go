// Package connection is the family of commands about the connection itself: who
// the client is, in which protocol it is answered, which database it works on,
// and, through CLIENT, which other clients there are.
//
// The family keeps two promises. A command that is refused leaves the session as
// it was: HELLO above all, which may change the user, the name and the protocol
// in one go, checks everything before it changes anything. And what one client
// learns or does about another goes only through what a Session calls safe for
// concurrent use, because the other one lives on its own loop.
//
//	connection.go  the table, and what needs no more than the session
//	auth.go        AUTH and HELLO
//	client.go      CLIENT: its table, and what a client says about itself
//	others.go      CLIENT: what it does to others: KILL, PAUSE, UNBLOCK
//	describe.go    CLIENT INFO and CLIENT LIST
//	selection.go   the filters of CLIENT LIST and CLIENT KILL
//	tracking.go    CLIENT: client side caching, as far as it can be refused
//	words.go       words and numbers among the arguments
package connection
