package admin

import (
	"bytes"
	"io"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/metrics"
)

func init() {
	// Prometheus wants # TYPE lines; the library leaves them out by default.
	metrics.ExposeMetadata(true)
}

const (
	plainText = "text/plain; charset=utf-8"
	promText  = "text/plain; version=0.0.4; charset=utf-8"
)

// newHandler builds the pages. Only GET and HEAD are answered.
func newHandler(src Source, profiling bool) http.Handler {
	mux := http.NewServeMux()
	pages := []string{"/metrics", "/livez", "/readyz", "/startupz"}

	// One gate for both pages: they walk the same counters.
	gate := make(chan struct{}, scrapesMax)
	mux.Handle("GET /metrics", scrape(gate, func(w io.Writer) {
		src.WriteMetrics(w)
		metrics.WriteProcessMetrics(w)
	}))
	if redis, ok := src.(RedisSource); ok {
		mux.Handle("GET /metrics/redis", scrape(gate, redis.WriteRedisMetrics))
		pages = append(pages, "/metrics/redis")
	}
	mux.Handle("GET /livez", health(src.Live))
	mux.Handle("GET /readyz", health(src.Ready))
	mux.Handle("GET /startupz", health(src.Started))
	if profiling {
		// Not cmdline: a password may be among the arguments.
		mux.HandleFunc("GET /debug/pprof/", profiles)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		pages = append(pages, "/debug/pprof/")
	}
	mux.Handle("GET /{$}", index(pages))
	return mux
}

// scrape renders into memory first, so that a slow scraper holds a buffer and not
// whatever write looks at.
func scrape(gate chan struct{}, write func(io.Writer)) http.Handler {
	render := func() *bytes.Buffer {
		select {
		case gate <- struct{}{}:
		default:
			return nil
		}
		defer func() { <-gate }()
		page := new(bytes.Buffer)
		write(page)
		return page
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := render()
		if page == nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many scrapes at a time", http.StatusServiceUnavailable)
			return
		}
		send(w, promText, http.StatusOK, page.Bytes())
	})
}

// health answers 200 or 503 with the reason.
func health(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := check(); err != nil {
			send(w, plainText, http.StatusServiceUnavailable, []byte(err.Error()+"\n"))
			return
		}
		send(w, plainText, http.StatusOK, []byte("ok\n"))
	})
}

// profiles is pprof's index without the page that shows the command line.
func profiles(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/cmdline") {
		http.NotFound(w, r)
		return
	}
	pprof.Index(w, r)
}

// index lists the pages.
func index(pages []string) http.Handler {
	var b strings.Builder
	b.WriteString("<!doctype html>\n<meta charset=\"utf-8\">\n<title>HyperKV</title>\n<h1>HyperKV</h1>\n<ul>\n")
	for _, p := range pages {
		b.WriteString("<li><a href=\"" + p + "\">" + p + "</a></li>\n")
	}
	b.WriteString("</ul>\n")
	page := []byte(b.String())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		send(w, "text/html; charset=utf-8", http.StatusOK, page)
	})
}

func send(w http.ResponseWriter, contentType string, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
