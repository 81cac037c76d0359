package bench

import (
	"fmt"
	"math"
	"strconv"
)

// Verdict is the outcome of a bar.
type Verdict string

const (
	Pass        Verdict = "pass"
	Fail        Verdict = "fail"
	NotMeasured Verdict = "not measured"
)

// Bar is one promise and how it stands.
type Bar struct {
	Measure  string  `json:"measure"`
	Target   string  `json:"target"`
	Measured string  `json:"measured"`
	Verdict  Verdict `json:"verdict"`
}

// The promises, as ratios to Redis unless a unit says otherwise.
const (
	shardRatioMax   = 1.4
	gcShareMax      = 0.02
	objectsPerKey   = 0.01 // growth of the heap that still counts as none
	slowestFillMax  = 10_000.0
	startupMax      = 100.0
	msetCPURatioMax = 0.8

	snapshotP999Max   = 2.0 // times that without a snapshot
	snapshotGrowthMax = 0.10
	loadRatioMin      = 1.5
	replayRatioMin    = 2.0
)

var speedBars = []struct {
	pipeline         int
	speedMin, cpuMax float64
	// saturationCounts: a saturated generator fulfils the speed.
	saturationCounts bool
}{
	{100, 2.0, 0.5, false},
	{16, 1.3, 0.75, true},
	{1, 1.0, 1.05, false},
}

// judge holds the figures against the bars.
func judge(r *Comparison) []Bar {
	var bars []Bar
	subject := ""
	if len(r.Servers) > 0 {
		subject = r.Servers[0].Name
	}
	for _, b := range speedBars {
		for _, op := range []string{"get", "set"} {
			speed, cpu := judgeSpeed(r.Speed, op, b.pipeline, subject, b.speedMin, b.cpuMax, b.saturationCounts)
			bars = append(bars, speed, cpu)
		}
	}
	for _, op := range []string{"get", "set"} {
		bars = append(bars, judgeShards(r.Shards, op))
	}
	_, mset := judgeSpeed(r.Speed, "mset", 16, subject, 0, msetCPURatioMax, false)
	bars = append(bars, mset)
	bars = append(bars, judgeCollections(r.Collections, subject)...)
	bars = append(bars, judgeDeletion(r.Deletion, subject)...)
	bars = append(bars, judgeMemory(r.Memory, subject)...)
	bars = append(bars, judgeDurability(r.Durability, subject)...)
	bars = append(bars, judgeFill(r.Fill, subject)...)
	return append(bars, judgeStartup(r.Startup, subject))
}

func verdict(ok bool) Verdict {
	if ok {
		return Pass
	}
	return Fail
}

// reference is the peer that the bars are written against.
const reference = "Redis"

func judgeSpeed(cases []SpeedCase, op string, pipeline int, subject string, speedMin, cpuMax float64, saturationCounts bool) (speed, cpu Bar) {
	name := named([]SpeedCase{{Op: op, Pipeline: pipeline}})[0].Name
	speed = Bar{Measure: name + ": speed", Target: fmt.Sprintf("≥ %.1f × Redis", speedMin), Measured: "–", Verdict: NotMeasured}
	if saturationCounts {
		speed.Target += ", or the generator saturated"
	}
	cpu = Bar{Measure: name + ": server CPU per operation", Target: fmt.Sprintf("≤ %.2f × Redis", cpuMax), Measured: "–", Verdict: NotMeasured}
	for _, c := range cases {
		if c.Op != op || c.Pipeline != pipeline {
			continue
		}
		own, peer := c.figure(subject), c.figure(reference)
		if own == nil || peer == nil || own == peer {
			continue
		}
		if peer.Rate > 0 {
			ratio := own.Rate / peer.Rate
			speed.Measured = fmt.Sprintf("%.2f ×", ratio)
			speed.Verdict = verdict(ratio >= speedMin || saturationCounts && own.Saturated)
			if own.Saturated {
				speed.Measured += " (generator saturated)"
			}
		}
		if peer.ServerMicros > 0 && own.ServerMicros > 0 {
			ratio := own.ServerMicros / peer.ServerMicros
			cpu.Measured = fmt.Sprintf("%.2f ×", ratio)
			cpu.Verdict = verdict(ratio <= cpuMax)
		}
	}
	return speed, cpu
}

func judgeShards(cases []SpeedCase, op string) Bar {
	name := named([]SpeedCase{{Op: op, Pipeline: 16}})[0].Name
	b := Bar{Measure: name + ": CPU per operation at 8 shards ÷ at 1 shard", Target: fmt.Sprintf("≤ %.1f", shardRatioMax), Measured: "–", Verdict: NotMeasured}
	for _, c := range cases {
		one, eight := c.figure(shardVariant("1")), c.figure(shardVariant("8"))
		if c.Op != op || one == nil || eight == nil || one.ServerMicros == 0 {
			continue
		}
		ratio := eight.ServerMicros / one.ServerMicros
		b.Measured = fmt.Sprintf("%.2f (%.2f ÷ %.2f µs)", ratio, eight.ServerMicros, one.ServerMicros)
		b.Verdict = verdict(ratio <= shardRatioMax)
	}
	return b
}

func judgeMemory(rows []MemoryRow, subject string) []Bar {
	var bars []Bar
	for _, mc := range memoryCases {
		for _, row := range rows {
			if row.Name == mc.name {
				bars = append(bars, judgeRow(row, mc, subject))
			}
		}
	}
	if len(bars) == 0 {
		bars = append(bars, judgeRow(MemoryRow{Name: memoryCases[0].name, Items: 1_000_000}, memoryCases[0], subject))
	}
	return bars
}

func judgeRow(row MemoryRow, mc memoryCase, subject string) Bar {
	b := Bar{
		Measure: fmt.Sprintf("memory over payload, %s × %s", count(float64(row.Items)), row.Name),
		Target:  fmt.Sprintf("≤ %s bytes", strconv.FormatFloat(mc.overheadMax, 'f', -1, 64)), Measured: "–", Verdict: NotMeasured,
	}
	own, peer := row.figure(subject), row.figure(reference)
	if mc.overheadMax == 0 {
		b.Target = "≤ Redis"
	}
	if own == nil {
		return b
	}
	b.Measured = fmt.Sprintf("%.1f bytes", own.Overhead)
	limit := mc.overheadMax
	if peer != nil && peer != own {
		b.Measured += fmt.Sprintf(" (Redis %.1f)", peer.Overhead)
		if limit == 0 {
			limit = peer.Overhead
		}
	} else if limit == 0 {
		return b
	}
	b.Verdict = verdict(own.Overhead <= limit)
	return b
}

func judgeFill(figures []FillFigure, subject string) []Bar {
	gc := Bar{Measure: "many keys under mixed load: GC share of CPU", Target: fmt.Sprintf("≤ %.0f %%", gcShareMax*100), Measured: "–", Verdict: NotMeasured}
	objects := Bar{Measure: "many keys: heap objects", Target: "independent of the key count", Measured: "–", Verdict: NotMeasured}
	slowest := Bar{Measure: "filling many keys: slowest reply", Target: fmt.Sprintf("≤ %.0f ms because of index growth", slowestFillMax/1000), Measured: "–", Verdict: NotMeasured}
	for _, f := range figures {
		if f.Server != subject {
			continue
		}
		keys := count(float64(f.Keys))
		slowest.Measure = fmt.Sprintf("filling %s keys: slowest reply", keys)
		slowest.Measured = fmt.Sprintf("%.1f ms", f.Fill.Latency.Max/1000)
		slowest.Verdict = verdict(f.Fill.Latency.Max <= slowestFillMax)
		if slowest.Verdict == Fail {
			slowest.Measured += fmt.Sprintf(" (writing the same keys again, without growth: %.1f ms)", f.Rewrite.Latency.Max/1000)
			// A delay that also comes without growth is not due to growth.
			slowest.Verdict = verdict(f.Rewrite.Latency.Max >= f.Fill.Latency.Max)
		}
		if c := f.Collector; c != nil {
			gc.Measure = fmt.Sprintf("%s keys under mixed load: GC share of CPU", keys)
			gc.Measured = fmt.Sprintf("%.2f %%", c.CPUShare*100)
			gc.Verdict = verdict(c.CPUShare <= gcShareMax)
			growth := math.Max(0, c.ObjectsFull-c.ObjectsEmpty)
			objects.Measure = fmt.Sprintf("%s keys: heap objects", keys)
			objects.Measured = fmt.Sprintf("%s, empty %s", count(c.ObjectsFull), count(c.ObjectsEmpty))
			objects.Verdict = verdict(growth <= objectsPerKey*float64(f.Keys))
		}
	}
	return []Bar{gc, objects, slowest}
}

func judgeStartup(figures []StartupFigure, subject string) Bar {
	b := Bar{Measure: "start to first PING, empty data directory", Target: fmt.Sprintf("≤ %.0f ms", startupMax), Measured: "–", Verdict: NotMeasured}
	for _, f := range figures {
		if f.Server == subject {
			b.Measured = fmt.Sprintf("%.1f ms", f.Millis)
			b.Verdict = verdict(f.Millis <= startupMax)
		}
	}
	return b
}

// judgeDurability holds the log, snapshots and starts against their bars.
func judgeDurability(d *Durability, subject string) (bars []Bar) {
	if d == nil {
		return nil
	}
	for _, c := range logCases {
		for _, row := range d.Log {
			if row.Name == c.name {
				bars = append(bars, c.judge(row, subject))
			}
		}
	}
	if own, peer := d.snapshot(subject), d.snapshot(reference); own != nil {
		bars = append(bars, judgeSnapshot(d, own, peer)...)
	}
	if own, peer := d.recovery(subject), d.recovery(reference); own != nil {
		other := 0.0
		if peer != nil && peer != own {
			other = peer.Rate
		}
		bars = append(bars, atLeast(fmt.Sprintf("log of %s SETs: repeating it at the start", count(float64(d.Keys))),
			replayRatioMin, own.Rate, other, "operations/s"))
	}
	return bars
}

func judgeSnapshot(d *Durability, own, peer *SnapshotFigure) []Bar {
	if peer == own {
		peer = nil
	}
	name := fmt.Sprintf("snapshots of %s keys: ", count(float64(d.Keys)))
	wait := Bar{
		Measure: name + "p99.9 of GET meanwhile", Target: fmt.Sprintf("≤ %.0f × that without", snapshotP999Max),
		Measured: fmt.Sprintf("%s, %.3f ms (without: %.3f ms)", ratio(own.Beside, own.Quiet), own.Beside/1000, own.Quiet/1000),
		Verdict:  verdict(own.Beside <= snapshotP999Max*own.Quiet),
	}
	memory := Bar{Measure: name + "memory meanwhile", Target: fmt.Sprintf("≤ %+.0f %%", snapshotGrowthMax*100), Measured: "–", Verdict: NotMeasured}
	if own.weighed() {
		memory.Measured, memory.Verdict = signedPercent(own.Growth), verdict(own.Growth <= snapshotGrowthMax)
	}
	size := Bar{Measure: name + "size", Target: "≤ Redis", Measured: thousands(own.Bytes) + " bytes", Verdict: NotMeasured}
	plain := Bar{Measure: name + "size without compression", Target: "≤ Redis", Measured: thousands(own.Plain) + " bytes", Verdict: NotMeasured}
	other := 0.0
	if peer != nil {
		other = peer.Load
		wait.Measured += fmt.Sprintf("; Redis %.3f ms (%.3f ms)", peer.Beside/1000, peer.Quiet/1000)
		if peer.weighed() {
			memory.Measured += fmt.Sprintf(" (Redis %s)", signedPercent(peer.Growth))
		}
		size.Measured += fmt.Sprintf(" (Redis %s)", thousands(peer.Bytes))
		size.Verdict = verdict(own.Bytes <= peer.Bytes)
		plain.Measured += fmt.Sprintf(" (Redis %s)", thousands(peer.Plain))
		plain.Verdict = verdict(own.Plain <= peer.Plain)
	}
	return []Bar{wait, memory, atLeast(name+"loading at the start", loadRatioMin, own.Load, other, "keys/s"), size, plain}
}

// atLeast is a bar on a rate; without a peer's it is not measured.
func atLeast(measure string, factor, own, peer float64, unit string) Bar {
	b := Bar{Measure: measure, Target: fmt.Sprintf("≥ %.1f × Redis", factor), Measured: thousands(own) + " " + unit, Verdict: NotMeasured}
	if peer > 0 {
		b.Measured = fmt.Sprintf("%.2f × (%s %s)", own/peer, thousands(own), unit)
		b.Verdict = verdict(own >= factor*peer)
	}
	return b
}
