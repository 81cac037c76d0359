// Package journal keeps what all shards do, in one log per shard, and plays it back.
//
//	Record ──► encode ──► the logs of all shards that took part      under their turns
//	Commit ──► Write or Sync, as the policy says, or a copy          before a reply leaves
//	Open   ──► all logs side by side ──► Player                      after any kind of end
//
// What is recorded at once is a unit: the effects of one command or transaction, or of
// an expiry. A unit of several shards is written whole to the log of each, with a
// number. When logs are played, each waits there for the others, so that the unit is
// played once, after all that came before it and before all that came behind. A log
// that has lost it has lost everything behind it as well, because logs lose only their
// ends. If it has lost nothing before it either, the unit is played all the same;
// otherwise it is left out. It was acknowledged only if all had it.
//
// Logs lie in generations, each with its number of shards, and are played one
// generation after the other. A new one begins when the number changes, and when
// anything was lost: so that what was left out once will be left out always, because
// nothing is ever added to the logs in which that was seen.
//
// Under Always, several logs are made durable by one sync of the commit log, which has copies
// of their ends; playing them begins by giving each log back what it has lost of that.
//
// The journal knows nothing about commands, and shards are numbers to it. Start with
// Journal in journal.go; playing is in play.go.
package journal
