// Package testkit proves behaviour against any server that speaks RESP.
//
// Nothing here knows how HyperKV works inside. A test names what it expects and
// where the servers are; the same expectation is then put to a process of ours, to
// one with 1, 2 or 7 shards, and to a real redis-server, which is the judge.
//
//	testdata/*.txt ──► RunTranscripts ──► Target ──► Client ──► reply as redis-cli shows it
//	                                        ▲
//	          Redis(t), StartBinary(t), Matrix(starter), Address(...), Dialer(...)
//
// Four ways of asking live side by side:
//
//   - transcripts (script.go, run.go): what one reply looks like, told as a story;
//   - package difftest: random commands, compared with redis-server reply by reply;
//   - histories (bank.go, counter.go, visible.go, linear.go): what concurrent clients may see together;
//   - abuse (abuse.go): what a server must survive from clients that mean harm.
//
// Histories and abuse return errors instead of failing a test, so that each can be
// proved itself: against redis-server it must pass, and against a server that is
// broken on purpose it must fail.
//
// Servers started here listen on loopback only and end with the test that started
// them. Start reading at Target in target.go and at script.go.
package testkit
