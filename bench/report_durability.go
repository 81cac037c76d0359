package bench

import "fmt"

// durabilityTables are the tables of the log, of snapshots, and of starts with data.
func durabilityTables(d *Durability) []table {
	var tables []table
	if len(d.Log) > 0 {
		t := speedTable("Writes with a log", reference, d.Log)
		t.note += " Snapshots and rewriting the log are off; values are random bytes."
		tables = append(tables, t)
	}
	if len(d.Snapshots) > 0 {
		tables = append(tables, snapshotTable(d), snapshotRoomTable(d))
	}
	if len(d.Recovery) > 0 {
		tables = append(tables, recoveryTable(d))
	}
	return tables
}

func snapshotTable(d *Durability) table {
	t := table{
		title: fmt.Sprintf("What clients notice of snapshots of %s keys", count(float64(d.Keys))),
		note: "GETs in an open loop, at half of what the server reaches in a closed one, while BGSAVE runs again and again; " +
			"latency counts from the moment a request was due. Medians of the rounds.",
		header: []string{"server", "offered/s", "p99.9 ms", "without ms", "×", "slowest ms", "without ms", "snapshot s"},
	}
	for _, f := range d.Snapshots {
		t.add(f.Server, thousands(f.Offered), millis(f.Beside), millis(f.Quiet), ratio(f.Beside, f.Quiet),
			millis(medianOf(f.Rounds, func(r SnapshotRound) float64 { return r.Beside.Latency.Max })),
			millis(medianOf(f.Rounds, func(r SnapshotRound) float64 { return r.Quiet.Latency.Max })), seconds(f.Seconds))
	}
	return t
}

func snapshotRoomTable(d *Durability) table {
	t := table{
		title: fmt.Sprintf("Room and time that snapshots of %s keys take", count(float64(d.Keys))),
		note: fmt.Sprintf("Keys of %d bytes with %d random bytes each. Memory is what all processes of the server have resident, shared pages counted once (Pss), "+
			"at its highest during a snapshot under the same load, over that before. Loading is from the start of the process to the first PONG, from the page cache; CPU is that of all its threads until then. "+
			"× compares with Redis.", compareKeyBytes, compareValueBytes),
		header: []string{"server", "memory before MB", "meanwhile", "size MB", "×", "uncompressed MB", "×", "loading keys/s", "×", "CPU s"},
	}
	base := d.snapshot(reference)
	if base == nil {
		base = &SnapshotFigure{}
	}
	for _, f := range d.Snapshots {
		before, growth := "–", "–"
		if f.weighed() {
			before = megabytes(medianOf(f.Rounds, func(r SnapshotRound) float64 { return float64(r.Before) }))
			growth = signedPercent(f.Growth)
		}
		t.add(f.Server, before, growth, megabytes(f.Bytes), ratio(f.Bytes, base.Bytes), megabytes(f.Plain), ratio(f.Plain, base.Plain),
			thousands(f.Load), ratio(f.Load, base.Load), seconds(medianOf(f.Rounds, func(r SnapshotRound) float64 { return r.LoadCPU })))
	}
	return t
}

func recoveryTable(d *Durability) table {
	t := table{
		title: fmt.Sprintf("Starts on a log of %s SETs, and after kill -9", count(float64(d.Keys))),
		note: fmt.Sprintf("From the start of the process to the first PONG, and its CPU time until then; medians of the rounds. After kill -9, once: a log of SETs with %d random bytes. "+
			"The size is that of what was written, without reserved room. × compares with Redis.", crashValueBytes),
		header: []string{"server", "log MB", "operations/s", "×", "CPU s", "log at kill -9 MB", "operations in it", "s to PONG"},
	}
	base := d.recovery(reference)
	if base == nil {
		base = &RecoveryFigure{}
	}
	for _, f := range d.Recovery {
		t.add(f.Server, megabytes(medianOf(f.Rounds, func(r RecoveryRound) float64 { return float64(r.LogBytes) })), thousands(f.Rate), ratio(f.Rate, base.Rate),
			seconds(medianOf(f.Rounds, func(r RecoveryRound) float64 { return r.CPU })),
			megabytes(float64(f.Crash.LogBytes)), thousands(float64(f.Crash.Operations)), seconds(f.Crash.Seconds))
	}
	return t
}

// snapshotNotes say where a server did not keep up with half of what it had reached.
func snapshotNotes(d *Durability) (notes []string) {
	for _, f := range d.Snapshots {
		quiet, beside := int64(0), int64(0)
		for _, r := range f.Rounds {
			quiet, beside = quiet+r.Quiet.Unsent, beside+r.Beside.Unsent
		}
		if quiet+beside > 0 {
			notes = append(notes, fmt.Sprintf("GET on %s at %s/s: the rate was not reached; %s requests were due and never got out while snapshots ran, %s without. "+
				"Their waiting time is part of the latency.", f.Server, thousands(f.Offered), thousands(float64(beside)), thousands(float64(quiet))))
		}
	}
	return notes
}

// weighed says that the memory could be read in every round.
func (f SnapshotFigure) weighed() bool {
	for _, r := range f.Rounds {
		if r.Before == 0 || r.Peak == 0 {
			return false
		}
	}
	return len(f.Rounds) > 0
}

// seconds writes a duration.
func seconds(s float64) string { return fmt.Sprintf("%.2f", s) }

// megabytes writes bytes as millions of them.
func megabytes(bytes float64) string {
	if bytes == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", bytes/1e6)
}
