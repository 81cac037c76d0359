package ds

import (
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// unitBytes is the grain in which address space is handed out. Only pages
	// that are touched cost memory, so a coarse grain wastes nothing but
	// addresses.
	unitBytes      = 64 << 10
	unitsPerRegion = 1024
	regionBytes    = unitsPerRegion * unitBytes

	// runBytesMax bounds what is carved out of regions; longer runs get a
	// mapping of their own, which can grow without copying. Carving keeps the
	// number of mappings small whatever the order of frees: Linux allows a
	// process 65530 of them, and a mapping with holes counts once per piece.
	runBytesMax = 4 << 20

	// chunkBytes is the size of a huge page, with which reading a key at random
	// misses the page tables less. Once the process holds hugeFromBytes, a chunk
	// that is full is made one on another goroutine, so that nothing becomes
	// resident that was not; that keeps everybody's page faults waiting while it
	// lasts, so there is a pause of hugeEvery between two. Once it holds
	// hugeTouchFromBytes, a chunk is a huge page from the first touch on: that
	// copies nothing, and the little that may be resident before it is used does
	// not matter then.
	chunkBytes         = 2 << 20
	unitsPerChunk      = chunkBytes / unitBytes
	hugeFromBytes      = 8 << 20
	hugeTouchFromBytes = 64 << 20
	hugeEvery          = 100 * time.Millisecond

	// releaseInlineMax bounds the memory given back to the system inside the
	// caller's time slice; what is longer goes back on another goroutine. A deletion
	// may empty many slabs at once, and each costs the system some 0.2 ms.
	releaseInlineMax = 128 << 10
)

// pages is where every arena of the process gets its memory, so that many
// small databases share regions. Slabs and large objects come and go rarely
// compared to keys, so one lock serves all shards.
var pages pageSource

// A pageSource hands out runs of address space. Safe for concurrent use.
type pageSource struct {
	mapped atomic.Int64 // bytes of runs and mappings handed out

	mu      sync.Mutex // guards what follows, and what it points to
	regions []*region  // by base
	full    []chunk    // to be made huge pages
	making  bool       // a goroutine is at it
	leaving []freed    // to be given back to the system
	giving  bool       // a goroutine is at it
}

// A chunk is a part of a region, by number.
type chunk struct {
	region *region
	number int
}

// A freed run is not in use any more; own says that it is a mapping of its own.
type freed struct {
	addr, bytes uintptr
	own         bool
}

// A region is one mapping, divided into units.
type region struct {
	base uintptr
	free int                         // units that are free
	bits [unitsPerRegion / 64]uint64 // set: the unit is free
	// prepared has a bit for every chunk that is a huge page or is to become one;
	// preparing says that one is becoming it, which keeps the region mapped.
	prepared  uint32
	preparing bool
}

// MappedBytes returns the address space that the arenas of the process hold,
// an upper bound of the memory they occupy.
func MappedBytes() int64 { return pages.mapped.Load() }

// runBytes returns the size of the run that alloc gives for n bytes.
func runBytes(n uintptr) uintptr {
	if n > runBytesMax {
		return roundUp(n, pageBytes)
	}
	return roundUp(n, unitBytes)
}

func roundUp(n, grain uintptr) uintptr { return (n + grain - 1) &^ (grain - 1) }

// alloc returns the address of a run of zeroed pages with room for n bytes.
func (p *pageSource) alloc(n uintptr) uintptr {
	run := runBytes(n)
	p.mapped.Add(int64(run))
	if n > runBytesMax {
		return mustMap(run, pageBytes)
	}
	units := int(run / unitBytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.regions {
		if r.free >= units {
			if at := r.take(units); at >= 0 {
				p.prepare(r, at, units)
				return r.base + uintptr(at)*unitBytes
			}
		}
	}
	r := &region{base: mustMap(regionBytes, chunkBytes), free: unitsPerRegion}
	for i := range r.bits {
		r.bits[i] = ^uint64(0)
	}
	at, _ := p.find(r.base)
	p.regions = slices.Insert(p.regions, at, r)
	at = r.take(units)
	p.prepare(r, at, units)
	return r.base + uintptr(at)*unitBytes
}

// prepare sees to huge pages where a run of units has just been handed out. A chunk
// in which nothing was in use gets one at the first touch, if the process holds
// enough for that. Otherwise the last chunk but one is made one if it is full: what
// lies right before the end may be of the same run, and not be in use yet. The
// caller holds the lock.
func (p *pageSource) prepare(r *region, at, units int) {
	last := (at + units - 1) / unitsPerChunk
	mapped := p.mapped.Load()
	if mapped >= hugeTouchFromBytes {
		for chunk := at / unitsPerChunk; chunk <= last; chunk++ {
			first := chunk * unitsPerChunk
			ours := min(at+units, first+unitsPerChunk) - max(at, first)
			if r.prepared>>chunk&1 == 0 && r.freeIn(chunk)+ours == unitsPerChunk {
				r.prepared |= 1 << chunk
				adviseHuge(r.base+uintptr(chunk)*chunkBytes, chunkBytes)
			}
		}
	}
	full := last - 2
	if full < 0 || r.prepared>>full&1 != 0 || mapped < hugeFromBytes || r.freeIn(full) != 0 {
		return
	}
	r.prepared |= 1 << full
	p.full = append(p.full, chunk{r, full})
	if !p.making {
		p.making = true
		go p.makeHuge()
	}
}

// freeIn is how many units of a chunk are free.
func (r *region) freeIn(chunk int) int {
	const chunksPerWord = 64 / unitsPerChunk
	return bits.OnesCount64(r.bits[chunk/chunksPerWord] >> (chunk % chunksPerWord * unitsPerChunk) & (1<<unitsPerChunk - 1))
}

// makeHuge makes huge pages of the chunks that are full, until there are none.
func (p *pageSource) makeHuge() {
	for {
		p.mu.Lock()
		if len(p.full) == 0 {
			p.full, p.making = nil, false
			p.mu.Unlock()
			return
		}
		c := p.full[0]
		p.full = p.full[1:]
		if c.region.freeIn(c.number) != 0 { // any more: a huge page would bring back what was given back
			c.region.prepared &^= 1 << c.number
			p.mu.Unlock()
			continue
		}
		c.region.preparing = true
		p.mu.Unlock()
		makeHuge(c.region.base+uintptr(c.number)*chunkBytes, chunkBytes)
		p.mu.Lock()
		c.region.preparing = false
		empty := p.dropIfEmpty(c.region)
		p.mu.Unlock()
		if empty {
			unmapMemory(c.region.base, regionBytes)
		}
		time.Sleep(hugeEvery)
	}
}

// dropIfEmpty forgets a region that nobody uses and says whether the caller is
// to unmap it. The caller holds the lock.
func (p *pageSource) dropIfEmpty(r *region) bool {
	if r.free != unitsPerRegion || r.preparing {
		return false
	}
	p.full = slices.DeleteFunc(p.full, func(c chunk) bool { return c.region == r })
	at, found := p.find(r.base)
	if found {
		p.regions = slices.Delete(p.regions, at, at+1)
	}
	return found
}

// release takes back the run of n bytes at addr.
func (p *pageSource) release(addr, n uintptr) {
	r := freed{addr, runBytes(n), n > runBytesMax}
	if r.bytes <= releaseInlineMax {
		p.releaseNow(r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaving = append(p.leaving, r)
	if !p.giving {
		p.giving = true
		go p.giveBack()
	}
}

// giveBack gives back what is to be given back, until there is nothing.
func (p *pageSource) giveBack() {
	for {
		p.mu.Lock()
		last := len(p.leaving) - 1
		if last < 0 {
			p.leaving, p.giving = nil, false
			p.mu.Unlock()
			return
		}
		r := p.leaving[last]
		p.leaving = p.leaving[:last]
		p.mu.Unlock()
		p.releaseNow(r)
		runtime.Gosched() // an event loop may be waiting for the processor
	}
}

func (p *pageSource) releaseNow(gone freed) {
	defer p.mapped.Add(-int64(gone.bytes))
	if gone.own {
		unmapMemory(gone.addr, gone.bytes)
		return
	}
	// The memory goes back before the units become free: nobody else can hold
	// them yet, and the lock is not held during the system call.
	discardMemory(gone.addr, gone.bytes)
	p.mu.Lock()
	at, found := p.find(gone.addr)
	if !found {
		at--
	}
	r := p.regions[at]
	r.give(int(gone.addr-r.base)/unitBytes, int(gone.bytes/unitBytes))
	empty := p.dropIfEmpty(r)
	p.mu.Unlock()
	if empty {
		unmapMemory(r.base, regionBytes)
	}
}

func (p *pageSource) find(base uintptr) (int, bool) {
	return slices.BinarySearchFunc(p.regions, base, func(r *region, base uintptr) int {
		switch {
		case r.base < base:
			return -1
		case r.base > base:
			return 1
		}
		return 0
	})
}

// take claims the first run of free units, or returns -1.
func (r *region) take(units int) int {
	for at := 0; at+units <= unitsPerRegion; {
		word, bit := at/64, uint(at%64)
		rest := r.bits[word] >> bit
		if rest == 0 {
			at = (word + 1) * 64
			continue
		}
		at += bits.TrailingZeros64(rest)
		length := 0
		for length < units && at+length < unitsPerRegion && r.bits[(at+length)/64]>>uint((at+length)%64)&1 != 0 {
			length++
		}
		if length == units {
			for i := at; i < at+units; i++ {
				r.bits[i/64] &^= 1 << uint(i%64)
			}
			r.free -= units
			return at
		}
		at += length + 1
	}
	return -1
}

// give returns a run of units.
func (r *region) give(at, units int) {
	for i := at; i < at+units; i++ {
		if r.bits[i/64]>>uint(i%64)&1 != 0 {
			panic("invariant violated: address space given back twice")
		}
		r.bits[i/64] |= 1 << uint(i%64)
	}
	r.free += units
}

func mustMap(n, align uintptr) uintptr {
	addr, err := mapMemory(n, align)
	if err != nil {
		panic(fmt.Sprintf("out of memory: map %d bytes: %v", n, err))
	}
	return addr
}
