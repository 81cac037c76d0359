// Package difftest looks for commands that HyperKV answers otherwise than Redis.
//
// Random commands go to two servers at once, and every reply is compared byte for
// byte; where two right servers may differ (time left, order of keys), a rule says
// how. From time to time the whole datasets are compared as well.
//
//	forms (families.go) ──► grammar ──► generator ──► episode: steps for two connections
//	                                                      │
//	                              HyperKV ◄── executor ───┤ rules (rules.go)
//	                              Redis   ◄──             ▼
//	                       shortest transcript ◄── shrink ◄── divergence
//
// A run is a row of episodes. Each starts with empty servers and fresh connections
// and follows from its seed alone, so a divergence is reported as that seed, and
// shrinking replays at most one episode. Keys are few, so that commands meet on
// them; values are mostly those at which behaviour changes.
//
// The servers' clocks are not ours. The generator keeps every deadline either far
// from now or so near that the executor can sit it out before the next command.
//
// A new command family adds forms to families.go, and a rule if need be. Start
// reading at Run in run.go.
package difftest
