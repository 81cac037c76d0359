package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

type source struct {
	live, ready, started error
	block                chan struct{} // if set, WriteMetrics waits for it
	entered              chan struct{}
}

func (s *source) WriteMetrics(w io.Writer) {
	if s.block != nil {
		s.entered <- struct{}{}
		<-s.block
	}
	fmt.Fprint(w, "# TYPE hyperkv_up gauge\nhyperkv_up 1\n")
}
func (s *source) Live() error    { return s.live }
func (s *source) Ready() error   { return s.ready }
func (s *source) Started() error { return s.started }

type redisSource struct{ source }

func (s *redisSource) WriteRedisMetrics(w io.Writer) { fmt.Fprint(w, "redis_up 1\n") }

func serve(t *testing.T, src Source, o Options) string {
	t.Helper()
	// Checked after the shutdown below: cleanups run last in, first out.
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, ignore)
	})
	o.Port = -1
	s, err := Serve(context.Background(), src, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		for range 2 {
			if err := s.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	return "http://" + s.Addr()
}

func get(t *testing.T, url string) (int, string, http.Header) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body), r.Header
}

func TestMetrics(t *testing.T) {
	url := serve(t, &redisSource{}, Options{})
	status, body, header := get(t, url+"/metrics")
	if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %v", status, header)
	}
	for _, want := range []string{"hyperkv_up 1\n", "# TYPE go_goroutines gauge\n", "process_resident_memory_bytes "} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	if _, body, _ = get(t, url+"/metrics/redis"); body != "redis_up 1\n" {
		t.Errorf("/metrics/redis: %q", body)
	}
	if status, _, _ = get(t, serve(t, &source{}, Options{})+"/metrics/redis"); status != 404 {
		t.Errorf("/metrics/redis of a source without it: %d", status)
	}
}

func TestHealth(t *testing.T) {
	src := &source{ready: errors.New("loading: 40 %"), live: errors.New("event loop 1 has not turned for 3s")}
	url := serve(t, src, Options{})
	f := func(page string, wantStatus int, wantBody string) {
		t.Helper()
		if status, body, _ := get(t, url+page); status != wantStatus || body != wantBody {
			t.Errorf("%s: %d %q", page, status, body)
		}
	}
	f("/readyz", 503, "loading: 40 %\n")
	f("/livez", 503, "event loop 1 has not turned for 3s\n")
	f("/startupz", 200, "ok\n")
	f("/nothing", 404, "404 page not found\n")
	r, err := http.Post(url+"/livez", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != 405 {
		t.Errorf("POST: %d", r.StatusCode)
	}
}

func TestIndexListsWhatIsServed(t *testing.T) {
	for _, profiling := range []bool{false, true} {
		url := serve(t, &source{}, Options{Profiling: profiling})
		_, body, _ := get(t, url+"/")
		for _, page := range []string{"/metrics", "/livez", "/readyz", "/startupz"} {
			if !strings.Contains(body, `href="`+page+`"`) {
				t.Errorf("the index lacks %s", page)
			}
		}
		if strings.Contains(body, "pprof") != profiling || strings.Contains(body, "/metrics/redis") {
			t.Errorf("profiling %v: %s", profiling, body)
		}
		f := func(page string, want int) {
			t.Helper()
			if status, _, _ := get(t, url+page); (status == 200) != (profiling && want == 200) {
				t.Errorf("profiling %v: %s: %d", profiling, page, status)
			}
		}
		f("/debug/pprof/", 200)
		f("/debug/pprof/goroutine?debug=1", 200)
		f("/debug/pprof/cmdline", 404) // may hold a password
	}
}

// A scrape that hangs must not collect goroutines behind it.
func TestScrapesAreBounded(t *testing.T) {
	src := &source{block: make(chan struct{}), entered: make(chan struct{}, scrapesMax)}
	url := serve(t, src, Options{})
	var wg sync.WaitGroup
	for range scrapesMax {
		wg.Go(func() {
			if status, _, _ := get(t, url+"/metrics"); status != 200 {
				t.Errorf("waiting scrape: %d", status)
			}
		})
	}
	for range scrapesMax {
		<-src.entered
	}
	if status, _, _ := get(t, url+"/metrics"); status != 503 {
		t.Errorf("one scrape too many: %d", status)
	}
	if status, _, _ := get(t, url+"/livez"); status != 200 {
		t.Errorf("/livez during scrapes: %d", status)
	}
	close(src.block)
	wg.Wait()
}

func TestBindErrorNamesTheAddress(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = Serve(context.Background(), &source{}, Options{Port: ln.Addr().(*net.TCPAddr).Port})
	want := "admin port on " + ln.Addr().String() + ": address already in use"
	if err == nil || err.Error() != want {
		t.Fatalf("got %v, want %s", err, want)
	}
}

// Shutdown lets an answer under way finish, and cuts it off when its time is up.
func TestShutdown(t *testing.T) {
	src := &source{block: make(chan struct{}), entered: make(chan struct{}, 1)}
	s, err := Serve(context.Background(), src, Options{Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		r, err := http.Get("http://" + s.Addr() + "/metrics")
		if err == nil {
			r.Body.Close()
		}
		failed <- err
	}()
	<-src.entered
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	close(src.block)
	if err := <-failed; err == nil {
		t.Error("the answer was not cut off")
	}
}
