// Package bench measures servers that speak the Redis protocol.
//
// It has two halves. The generator puts load on one server; the comparison
// starts HyperKV and its peers, lets them take turns under the same load, and
// judges the figures.
//
//	Workload ──► Run ──► workers (one thread, one epoll set each) ──► Result
//	                        ▲ template renders a burst into the output buffer
//	                        ▼ resp.SkipValue walks over the replies
//
//	Compare ──► fleet (child processes) ──► Run, in turns ──► Comparison ──► bars ──► reports
//
// The generator must cost less than what it measures. A worker owns its
// sockets, its random numbers and its histograms, so it takes no lock, starts
// no goroutine and allocates nothing per operation: a request is a copy of a
// pre-rendered image with a few bytes patched, a reply is skipped and not
// decoded, and all replies of one read are recorded at once.
//
// In a closed loop each connection sends a burst, waits for its replies and
// sends the next one, so a server that stalls also stops being asked. In an
// open loop request i is due at start + i/rate whatever the server does, and
// its latency counts from that moment: a stall shows up in every request that
// should have been sent during it. What was due and never got out is reported
// as unsent, and its waiting time enters the histogram.
//
// Speed is only comparable while the generator has time to spare. Each Result
// therefore says how busy the generator's threads were; once they are
// saturated, the server's CPU time per operation is the figure to read.
//
// Start with Run in generator.go and worker.go, then Compare in compare.go.
package bench
