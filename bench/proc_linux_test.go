package bench

import (
	"os"
	"testing"
	"time"
)

// Children count, and what they share with their parent counts once: Redis writes a
// snapshot in one that has all the data in common with it.
func TestFamilyCountsSharedPagesOnce(t *testing.T) {
	p, err := start(t.Context(), redisServer(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	plan := tinyPlan(t).withDefaults()
	if err := plan.write(t.Context(), p, 200_000, 200_000, 200); err != nil {
		t.Fatal(err)
	}
	// The child sleeps so long between keys that it is there to be looked at.
	if err := p.configure(t.Context(), "rdb-key-save-delay", "100"); err != nil {
		t.Fatal(err)
	}
	alone, err := familyResident(p.pid)
	if err != nil || alone < 40<<20 {
		t.Fatalf("%d bytes, %v", alone, err)
	}
	c, err := p.control(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.do("BGSAVE"); err != nil {
		t.Fatal(err)
	}
	if len(children(p.pid)) != 1 {
		t.Fatalf("children %v", children(p.pid))
	}
	both, err := familyResident(p.pid)
	if err != nil || both < alone/2 || both > alone*5/4 {
		t.Errorf("%d bytes with the child, %d before, %v", both, alone, err)
	}
	if sum, err := memoryField("/proc/self/status", "NoSuchField:"); err == nil {
		t.Errorf("a field that is not there has %d bytes", sum)
	}
}

// What a process does in less than a hundredth of a second counts, and only its own.
func TestProcessCPUIsFine(t *testing.T) {
	p, err := start(t.Context(), redisServer(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	before, err := processCPU(p.pid)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); { // not the server's
	}
	c, err := p.control(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.do("PING"); err != nil {
		t.Fatal(err)
	}
	after, err := processCPU(p.pid)
	if spent := after - before; err != nil || spent <= 0 || spent > 20*time.Millisecond {
		t.Errorf("a PING took %v of CPU, %v", spent, err)
	}
	if spent, err := processCPU(1 << 23); err == nil {
		t.Errorf("a process that is not there spent %v", spent)
	}
}

// Whatever is done is watched to its end.
func TestWatchMemory(t *testing.T) {
	done := false
	peak, looks := watchMemory(os.Getpid(), func() { time.Sleep(5 * memoryPoll); done = true })
	if !done || peak == 0 || looks == 0 {
		t.Errorf("done %v, peak %d in %d looks", done, peak, looks)
	}
	if _, looks := watchMemory(1<<30, func() {}); looks != 0 {
		t.Error("a process that is not there was seen")
	}
}
