// Package admin is the port for operators: metrics, health and profiles over HTTP.
//
// It answers from what a Source tells it and never touches the data port's loops,
// so a busy server still says that it is busy, and a scrape costs no client a reply.
//
//	/metrics         everything, in Prometheus' text format
//	/metrics/redis   the same facts under redis_exporter's names, if the Source has them
//	/livez           every event loop turns; failing it asks for a restart
//	/readyz          may be sent traffic
//	/startupz        has finished loading
//	/debug/pprof/    Go profiles, only when profiling is enabled
//
// The three health pages answer 200 "ok" or 503 and the reason. There is no password
// on this port: it listens on loopback unless told otherwise, only reads, and shows
// no keys, values or command-line arguments. Start with Serve in server.go.
package admin
