package keyspace

// A cut is the state of a database at one moment, taken key by key while the
// database goes on changing. One bit of each record says whether it is still to be
// taken:
//
//	BeginCut     turns the meaning of the bit over: all records are of the cut, and
//	             those made from now on are not
//	Take         turns the bit of one record over: it is not of the cut any more
//
// Whoever changes a key takes it before; Scan finds all others, however the index
// grows or shrinks meanwhile. When Scan has come round, no record is of the cut, and the
// next one may begin. So a cut costs no memory per key, and nothing while there is none.

// BeginCut begins a cut. The one before must have been taken to its end.
func (d *DB) BeginCut() { d.cut ^= flagCut }

// Take says that an entry is of the cut and not taken yet, and that it is now. Entries
// and borrowed slices stay valid.
func (d *DB) Take(e Entry) bool {
	flags := e.r.byteAt(1)
	if *flags&flagCut == d.cut {
		return false
	}
	*flags ^= flagCut
	return true
}

// Pending says that an entry is of the cut and not taken yet.
func (d *DB) Pending(e Entry) bool { return e.r.flags()&flagCut != d.cut }

// DB is the database of the entry.
func (e Entry) DB() *DB { return e.db }
