package keyspace

// Usage says where the bytes of a DB are.
type Usage struct {
	Index   int64 // segments and directory
	Records int64 // what records need, in slots
	Slack   int64 // what the slots of records have beyond that
	Large   int64 // pages of large records
	Nodes   int64 // what collections keep outside their records
	Expiry  int64 // the order of deadlines
	Mapped  int64 // address space behind all this; costs nothing by itself

	// Resident is at least what all this occupies: free slots of slabs in use
	// are in it, and in none of the above. Compact gives them back.
	Resident int64
}

// Total returns what is accounted.
func (u Usage) Total() int64 { return u.Index + u.Records + u.Slack + u.Large + u.Nodes + u.Expiry }

// Usage returns the counters of the moment.
func (d *DB) Usage() Usage {
	records, segments := d.records.Stats(), d.index.arena.Stats()
	blocks, members, nodes := d.deadlines.arena.Stats(), d.members.arena.Stats(), d.nodes.Stats()
	if d.crowd != nil {
		crowd := d.crowd.arena.Stats()
		segments.Mapped += crowd.Mapped
		segments.Touched += crowd.Touched
	}
	return Usage{
		Index:    d.indexBytes(),
		Records:  records.Requested,
		Slack:    records.Slots - records.Requested,
		Large:    records.Large,
		Nodes:    nodes.Slots + nodes.Large,
		Expiry:   d.deadlines.bytes() + d.members.bytes(),
		Mapped:   records.Mapped + segments.Mapped + nodes.Mapped + blocks.Mapped + members.Mapped,
		Resident: records.Touched + records.Large + segments.Touched + nodes.Touched + nodes.Large + blocks.Touched + members.Touched,
	}
}

// Bytes returns Usage().Total(), cheaply.
func (d *DB) Bytes() int64 {
	return d.indexBytes() + d.records.Bytes() + d.nodes.Bytes() + d.deadlines.bytes() + d.members.bytes()
}

func (d *DB) indexBytes() int64 {
	if d.crowd != nil {
		return d.index.bytes() + d.crowd.bytes()
	}
	return d.index.bytes()
}
