package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// memoryCase is one kind of data whose resident size is measured. A new data
// type is a new row: a command that writes one item, and how many items share
// a key.
type memoryCase struct {
	name        string
	command     string
	itemsPerKey int
	dataBytes   int     // of __data__
	payload     float64 // bytes of one item that are the user's own
	overheadMax float64 // the bar, in bytes per item over payload; 0 is what Redis takes
}

// memoryCases: the payload is what a client sent and can read back, a score as
// eight bytes; a deadline is not part of it.
var memoryCases = []memoryCase{
	{"string, 32-byte value", "SET __key__ __data__", 1, 32, compareKeyBytes + 32, 24},
	{"string, 10-digit integer", "SET __key__ __int__", 1, 0, compareKeyBytes + intDigits, 20},
	{"string, 32-byte value, with TTL", "SET __key__ __data__ EX 86400", 1, 32, compareKeyBytes + 32, 40},
	{"field in hashes of 10", "HSET __key__ __field__ __data__", 10, 8, float64(fieldBytes+8) + compareKeyBytes/10., 8},
	{"field of one hash", "HSET hash __field__ __data__", 1, 32, float64(fieldBytes + 32), 30},
	{"16-byte string in one set", "SADD set __key__", 1, 0, compareKeyBytes, 18},
	{"10-digit integer in one set", "SADD set __int__", 1, 0, intDigits, 14},
	{"member of one sorted set", "ZADD zset __int__ __key__", 1, 0, scoreBytes + compareKeyBytes, 40},
	{"member in sorted sets of 20", "ZADD __key__ 7 __field__", 20, 0, float64(scoreBytes+fieldBytes) + compareKeyBytes/20., 1.5},
	{"16-byte element of one list", "RPUSH list __key__", 1, 0, compareKeyBytes, 2.5},
	{"entry of one stream", "XADD stream * field __data__", 1, 32, 5 + 32, 0},
}

const scoreBytes = 8

// MemoryRow is one kind of data on every server.
type MemoryRow struct {
	Name    string         `json:"name"`
	Items   uint64         `json:"items"`
	Payload float64        `json:"payload_bytes"`
	Figures []MemoryFigure `json:"figures"`
}

// MemoryFigure is the resident memory that the items of a row took.
type MemoryFigure struct {
	Server    string `json:"server"`
	Supported bool   `json:"supported"` // false: the server lacks the command
	Before    int64  `json:"resident_before_bytes"`
	After     int64  `json:"resident_after_bytes"`
	// Overhead is growth per item minus payload; Whole charges the process's
	// own memory to the items as well.
	Overhead float64 `json:"overhead_bytes_per_item"`
	Whole    float64 `json:"overhead_bytes_per_item_whole_process"`
}

func newMemoryFigure(server string, before, after int64, items uint64, payload float64) MemoryFigure {
	n := float64(items)
	return MemoryFigure{
		Server: server, Supported: true, Before: before, After: after,
		Overhead: float64(after-before)/n - payload,
		Whole:    float64(after)/n - payload,
	}
}

func (r MemoryRow) figure(server string) *MemoryFigure {
	for i := range r.Figures {
		if r.Figures[i].Server == server && r.Figures[i].Supported {
			return &r.Figures[i]
		}
	}
	return nil
}

func compareMemory(ctx context.Context, plan Plan, r *Comparison) error {
	for _, mc := range memoryCases {
		row := MemoryRow{Name: mc.name, Items: plan.Keys, Payload: mc.payload}
		for _, s := range plan.servers() {
			figure, err := weigh(ctx, plan, s, mc)
			if err != nil {
				return err
			}
			plan.Progress("memory  %-34s %-10s %6.1f bytes over payload", mc.name, s.Name, figure.Overhead)
			row.Figures = append(row.Figures, figure)
		}
		r.Memory = append(r.Memory, row)
	}
	return nil
}

// weigh fills a fresh server with one kind of data.
func weigh(ctx context.Context, plan Plan, s Server, mc memoryCase) (MemoryFigure, error) {
	p, err := start(ctx, s)
	if err != nil {
		return MemoryFigure{}, err
	}
	defer p.stop()
	// A server that has served the same load before, and was emptied: what it keeps
	// for its connections is not the data's.
	if err := plan.prepare(ctx, p, setupStep{"SET __key__ __data__", 100_000}); err != nil {
		return MemoryFigure{}, err
	}
	if err := plan.prepare(ctx, p, setupStep{"FLUSHALL", 1}); err != nil {
		return MemoryFigure{}, err
	}
	if err := pause(ctx, plan.settle); err != nil {
		return MemoryFigure{}, err
	}
	before, err := processResident(p.pid)
	if err != nil {
		return MemoryFigure{}, err
	}
	op, err := Template(mc.command, 1)
	if err != nil {
		return MemoryFigure{}, err
	}
	w := plan.workload(mc.name, op, fillPipeline)
	w.Requests, w.Duration, w.Warmup = int64(plan.Keys), 0, 0
	w.Keys.Pattern, w.ItemsPerKey = Sequential, mc.itemsPerKey
	w.DataMin, w.DataMax = mc.dataBytes, mc.dataBytes
	if _, err := measure(ctx, p, w); err != nil {
		var refused replyError
		if errors.As(err, &refused) {
			return MemoryFigure{Server: s.Name}, nil
		}
		return MemoryFigure{}, err
	}
	if err := pause(ctx, plan.settle); err != nil {
		return MemoryFigure{}, err
	}
	after, err := processResident(p.pid)
	if err != nil {
		return MemoryFigure{}, err
	}
	return newMemoryFigure(s.Name, before, after, plan.Keys, mc.payload), nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// StartupFigure is the time from exec to the first PONG.
type StartupFigure struct {
	Server string    `json:"server"`
	Millis float64   `json:"median_ms"`
	Starts []float64 `json:"starts_ms"`
}

func compareStartup(ctx context.Context, plan Plan, r *Comparison) error {
	for _, s := range plan.servers() {
		r.Startup = append(r.Startup, StartupFigure{Server: s.Name})
	}
	for range plan.starts {
		for i, s := range plan.servers() {
			p, err := start(ctx, s)
			if err != nil {
				return err
			}
			r.Startup[i].Starts = append(r.Startup[i].Starts, float64(p.startup.Microseconds())/1000)
			p.stop()
		}
	}
	for i := range r.Startup {
		r.Startup[i].Millis = median(r.Startup[i].Starts)
		plan.Progress("startup  %-10s %.1f ms to the first PONG", r.Startup[i].Server, r.Startup[i].Millis)
	}
	return nil
}

// FillFigure is what happened while a server was filled with many keys, and
// under a mixed load afterwards.
type FillFigure struct {
	Server string `json:"server"`
	Keys   uint64 `json:"keys"`
	Fill   Result `json:"fill"`
	// Rewrite writes the same keys again: the same load on an index that does
	// not grow. What is slow here as well is not the index's growth.
	Rewrite Result       `json:"rewrite"`
	Mixed   Result       `json:"mixed"`
	Memory  MemoryFigure `json:"memory"`
	// Collector is nil when the server does not report on its heap.
	Collector *Collector `json:"collector,omitempty"`
}

// Collector is what a garbage-collected server says about itself.
type Collector struct {
	CPUShare     float64 `json:"gc_cpu_share"` // during the mixed load, or else since start
	ObjectsEmpty float64 `json:"heap_objects_empty"`
	ObjectsFull  float64 `json:"heap_objects_full"`
}

// bytesPerBigKey is the memory the fill section sets aside per key.
const bytesPerBigKey = 200

func compareFill(ctx context.Context, plan Plan, r *Comparison) error {
	if plan.BigKeys == 0 {
		return nil
	}
	if free, known := memoryAvailable(); known && free < int64(plan.BigKeys)*bytesPerBigKey {
		r.Notes = append(r.Notes, fmt.Sprintf("The fill of %s keys was left out: it needs %.1f GiB of free memory.",
			count(float64(plan.BigKeys)), float64(plan.BigKeys)*bytesPerBigKey/(1<<30)))
		return nil
	}
	row := MemoryRow{Name: "string, 32-byte value", Items: plan.BigKeys, Payload: compareKeyBytes + compareValueBytes}
	for _, s := range plan.servers() {
		figure, err := fillBig(ctx, plan, s)
		if err != nil {
			return err
		}
		plan.Progress("fill  %-10s %s keys at %.0f/s, slowest reply %.1f ms (rewrite %.1f ms)", s.Name,
			count(float64(plan.BigKeys)), figure.Fill.Rate, figure.Fill.Latency.Max/1000, figure.Rewrite.Latency.Max/1000)
		r.Fill = append(r.Fill, figure)
		row.Figures = append(row.Figures, figure.Memory)
	}
	r.Memory = append(r.Memory, row)
	return nil
}

func fillBig(ctx context.Context, plan Plan, s Server) (FillFigure, error) {
	figure := FillFigure{Server: s.Name, Keys: plan.BigKeys}
	p, err := start(ctx, s)
	if err != nil {
		return figure, err
	}
	defer p.stop()
	c, err := p.control(ctx)
	if err != nil {
		return figure, err
	}
	defer c.close()
	empty, reports := readHeap(c)
	before, err := processResident(p.pid)
	if err != nil {
		return figure, err
	}
	if figure.Fill, err = fill(ctx, plan, p, plan.BigKeys); err != nil {
		return figure, err
	}
	if err := pause(ctx, plan.settle); err != nil {
		return figure, err
	}
	after, err := processResident(p.pid)
	if err != nil {
		return figure, err
	}
	figure.Memory = newMemoryFigure(s.Name, before, after, plan.BigKeys, compareKeyBytes+compareValueBytes)
	if figure.Rewrite, err = fill(ctx, plan, p, plan.BigKeys); err != nil {
		return figure, err
	}

	full, _ := readHeap(c)
	cpuBefore, _ := processCPU(p.pid)
	w := plan.workload("70 % GET, 30 % SET", Op{}, 16)
	w.Ops = []Op{mustOp("get", 70), mustOp("set", 30)}
	w.Keys.Count = plan.BigKeys
	w.Duration = 2 * plan.Duration
	if figure.Mixed, err = measure(ctx, p, w); err != nil {
		return figure, err
	}
	cpuAfter, _ := processCPU(p.pid)
	end, _ := readHeap(c)
	if reports {
		figure.Collector = &Collector{CPUShare: end.fraction, ObjectsEmpty: empty.objects, ObjectsFull: end.objects}
		if used := (cpuAfter - cpuBefore).Seconds(); end.seconds > 0 && used > 0 {
			figure.Collector.CPUShare = (end.seconds - full.seconds) / used
		}
	}
	return figure, nil
}

// heap is the state of a server's garbage-collected heap.
type heap struct{ fraction, seconds, objects float64 }

// readHeap reads INFO hyperkv. reports is false when the server says nothing
// about a collector.
func readHeap(c *client) (h heap, reports bool) {
	fields, err := c.info("hyperkv")
	if err != nil {
		return heap{}, false
	}
	number := func(name string) (float64, bool) {
		v, err := strconv.ParseFloat(strings.TrimSuffix(fields[name], "%"), 64)
		return v, err == nil
	}
	var hasFraction, hasObjects bool
	h.fraction, hasFraction = number("gc_cpu_fraction")
	h.seconds, _ = number("gc_cpu_seconds")
	h.objects, hasObjects = number("heap_objects")
	return h, hasFraction && hasObjects
}

// memoryAvailable returns what the machine can give without swapping.
func memoryAvailable() (bytes int64, known bool) {
	kib, err := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", "MemAvailable"), " kB"), 10, 64)
	return kib << 10, err == nil
}
