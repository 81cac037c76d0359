package object

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hyperkv/shard/ds"
)

// A memberHome is a home in memory. As in a record, its root moves with every
// change of its size, and its old bytes are overwritten.
type memberHome struct {
	encoding Encoding
	root     []byte
	nodes    ds.Arena
	deadline int64
	changes  int
}

func (h *memberHome) Change()                { h.changes++ }
func (h *memberHome) Encoding() Encoding     { return h.encoding }
func (h *memberHome) SetEncoding(e Encoding) { h.encoding = e }
func (h *memberHome) Root() []byte           { return h.root }
func (h *memberHome) Nodes() *ds.Arena       { return &h.nodes }
func (h *memberHome) MemberDeadline() int64  { return h.deadline }

func (h *memberHome) Resize(n int) []byte {
	fresh := make([]byte, n)
	copy(fresh, h.root)
	for i := range h.root {
		h.root[i] = 0xee
	}
	h.root = fresh
	return fresh
}

func (h *memberHome) SetMemberDeadline(at int64) {
	if at != h.deadline {
		h.Resize(len(h.root))
	}
	h.deadline = at
}

// empty fails the test if the arena still has objects.
func (h *memberHome) empty(t *testing.T) {
	t.Helper()
	if n := h.nodes.Stats().Objects; n != 0 {
		t.Fatalf("%d objects are left", n)
	}
	h.nodes.Close()
}

type modelMember struct {
	value    string
	deadline int64
}

// randomText is a member or a value of any kind: numbers, short texts, long
// ones, and a few that are longer than a leaf.
func randomText(r *rand.Rand, spread int) string {
	n := r.IntN(spread)
	switch r.IntN(16) {
	case 0:
		return ""
	case 1, 2, 3, 4:
		return strconv.Itoa(n - spread/4)
	case 5:
		return strconv.FormatInt(int64(n)<<40, 10)
	case 6:
		return strings.Repeat(strconv.Itoa(n), 40)
	case 7:
		if r.IntN(8) == 0 {
			return strings.Repeat(strconv.Itoa(n), 1+r.IntN(12000))
		}
	}
	return "member:" + strconv.Itoa(n)
}

// A dict against a map, under random changes.
func TestDictModel(t *testing.T) {
	for seed := range uint64(6) {
		values := seed%2 == 0
		t.Run(fmt.Sprint(seed, values), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			var h memberHome
			newDict(&h, values)
			model := map[string]modelMember{}
			spread := 10 << (2 * seed)
			steps := 8000
			for step := range steps {
				d := loadDict(&h, values)
				member := randomText(r, spread)
				old, there := model[member]
				grow := 5
				if step > steps/2 {
					grow = 1
				}
				switch op := r.IntN(grow + 4); {
				case op < grow:
					m := modelMember{}
					if values {
						m.value = randomText(r, 1000)
					}
					if r.IntN(3) == 0 {
						m.deadline = 1 + r.Int64N(1<<(4+6*seed))
					}
					if existed := d.put([]byte(member), []byte(m.value), m.deadline); existed != there {
						t.Fatalf("step %d: put says existed %v, want %v", step, existed, there)
					}
					model[member] = m
				case op == grow && there:
					old.deadline = r.Int64N(1 << (4 + 6*seed))
					d.expire([]byte(member), old.deadline)
					model[member] = old
				case op == grow+1 && d.len() > 0:
					e, _, _ := d.at(r.IntN(d.len()))
					text := string(e.Append(nil))
					if _, ok := model[text]; !ok {
						t.Fatalf("step %d: at finds %.20q", step, text)
					}
					d.remove([]byte(text))
					delete(model, text)
				case op == grow+2:
					value, deadline, ok := d.get([]byte(member))
					if ok != there || string(value.Append(nil)) != old.value || deadline != old.deadline {
						t.Fatalf("step %d: get(%.20q) is %.20q %d %v, want %.20q", step, member, value.Append(nil), deadline, ok, old.value)
					}
				default:
					if removed := d.remove([]byte(member)); removed != there {
						t.Fatalf("step %d: remove says %v, want %v", step, removed, there)
					}
					delete(model, member)
				}
				d.save()
				if step%101 == 0 || step == steps-1 {
					d.check()
					compareDict(t, &d, model)
				}
			}
			d := loadDict(&h, values)
			expireDict(t, &d, model)
			for member := range model {
				d.remove([]byte(member))
			}
			d.save()
			d.check()
			h.empty(t)
		})
	}
}

// compareDict compares everything that reads a dict with the model.
func compareDict(t *testing.T, d *dict, model map[string]modelMember) {
	t.Helper()
	if d.len() != len(model) {
		t.Fatalf("%d members, want %d", d.len(), len(model))
	}
	for member, m := range model {
		value, deadline, ok := d.get([]byte(member))
		if !ok || deadline != m.deadline || string(value.Append(nil)) != m.value {
			t.Fatalf("%.20q is %.20q %d %v, want %v", member, value.Append(nil), deadline, ok, m)
		}
	}
	var order []string
	d.each(func(member, value Element, deadline int64) bool {
		text := string(member.Append(nil))
		if m, ok := model[text]; !ok || m.deadline != deadline || string(value.Append(nil)) != m.value {
			t.Fatalf("each visits %.20q", text)
		}
		order = append(order, text)
		return true
	})
	if len(order) != len(model) {
		t.Fatalf("each visits %d, want %d", len(order), len(model))
	}
	var scanned []string
	for cursor := uint64(0); ; {
		before := len(scanned)
		cursor = d.scan(cursor, 7, func(member, _ Element, _ int64) {
			scanned = append(scanned, string(member.Append(nil)))
		})
		if n := len(scanned) - before; n > 8 {
			t.Fatalf("a scan of 7 visits %d", n)
		}
		if cursor == 0 {
			break
		}
	}
	if !slices.Equal(scanned, order) {
		t.Fatal("scan visits others than each")
	}
	c := d.first()
	for i, text := range order {
		hash := memberHash([]byte(text))
		member, _, _ := d.at(i)
		if !c.valid() || c.hash() != hash || string(c.member().Append(nil)) != text || string(member.Append(nil)) != text {
			t.Fatalf("the cursor is not at %.20q", text)
		}
		c.next()
		if i+9 < len(order) {
			from, to := d.first(), memberHash([]byte(order[i+9]))
			from.seek(hash - min(hash, 2))
			from.seek(to)
			if from.hash() != to {
				t.Fatal("seek finds another member")
			}
		}
	}
	if c.valid() {
		t.Fatal("the cursor does not end")
	}
	c = d.first()
	c.seek(1<<32 - 1)
	if c.valid() {
		t.Fatal("a cursor beyond the last member is valid")
	}
}

// expireDict removes half of the members that expire in the order of their deadlines.
func expireDict(t *testing.T, d *dict, model map[string]modelMember) {
	t.Helper()
	var deadlines []int64
	for _, m := range model {
		if m.deadline != 0 {
			deadlines = append(deadlines, m.deadline)
		}
	}
	slices.Sort(deadlines)
	for _, want := range deadlines[:len(deadlines)/2] {
		if _, ok := d.firstDue(want - 1); ok {
			t.Fatal("a member expires too early")
		}
		it, ok := d.firstDue(want)
		member := it.member.Append(nil)
		if !ok || it.deadline != want || model[string(member)].deadline != want {
			t.Fatal("another member expires first")
		}
		d.remove(member)
		delete(model, string(member))
	}
	d.save()
	d.check()
}

// Members that change while they are scanned: what stays is visited once.
func TestDictScanChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var h memberHome
	d := newDict(&h, false)
	for i := range 3000 {
		d.put(fmt.Appendf(nil, "m%d", i), nil, 0)
	}
	seen := map[string]int{}
	for cursor := uint64(0); ; {
		cursor = d.scan(cursor, 10, func(member, _ Element, _ int64) { seen[string(member.Append(nil))]++ })
		if cursor == 0 {
			break
		}
		for range 20 {
			d.remove(fmt.Appendf(nil, "m%d", 1500+r.IntN(1500)))
			d.put(fmt.Appendf(nil, "other%d", r.Int()), nil, 0)
		}
	}
	for i := range 1500 {
		if n := seen[fmt.Sprintf("m%d", i)]; n != 1 {
			t.Fatalf("m%d is visited %d times", i, n)
		}
	}
	if d.scan(1<<40, 10, nil) != 0 {
		t.Fatal("a cursor that is no hash does not end the scan")
	}
}

// colliding returns members of 8 bytes that all have the same memberHash: xxhash64
// is turned around for inputs of that length.
func colliding(n int) (members []string) {
	const p1, p2, p3, p4, p5 = 11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261
	inverse := func(a uint64) uint64 {
		x := a
		for range 6 {
			x *= 2 - a*x
		}
		return x
	}
	for i := range uint64(n) {
		h := 0x12345678<<32 | i // the upper half is what they share
		h ^= h >> 32
		h *= inverse(p3)
		h ^= h>>29 ^ h>>58
		h *= inverse(p2)
		h ^= h >> 33
		h = bits.RotateLeft64((h-p4)*inverse(p1), -27)
		start := uint64(p5)
		lane := bits.RotateLeft64((h^(start+8))*inverse(p1), -31) * inverse(p2)
		members = append(members, string(binary.LittleEndian.AppendUint64(nil, lane)))
	}
	return members
}

// Members with equal hashes are in order, too, over as many leaves as it takes.
func TestDictCollisions(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	members := colliding(2000)
	for _, member := range members {
		if memberHash([]byte(member)) != memberHash([]byte(members[0])) {
			t.Fatal("the members do not collide")
		}
	}
	for i := range 500 {
		members = append(members, fmt.Sprint("other", i))
	}
	var h memberHome
	newDict(&h, true)
	model := map[string]modelMember{}
	for step := range 20_000 {
		d := loadDict(&h, true)
		member := members[r.IntN(len(members))]
		_, there := model[member]
		if r.IntN(9) < 4+step/10_000*2 {
			if removed := d.remove([]byte(member)); removed != there {
				t.Fatalf("step %d: remove says %v, want %v", step, removed, there)
			}
			delete(model, member)
		} else {
			m := modelMember{value: strings.Repeat("v", r.IntN(30)), deadline: r.Int64N(20)}
			if existed := d.put([]byte(member), []byte(m.value), m.deadline); existed != there {
				t.Fatalf("step %d: put says %v, want %v", step, existed, there)
			}
			model[member] = m
		}
		d.save()
		if step%1999 == 0 {
			d.check()
			for member, m := range model {
				value, deadline, ok := d.get([]byte(member))
				if !ok || deadline != m.deadline || string(value.Append(nil)) != m.value {
					t.Fatalf("step %d: %q is %v %d", step, member, ok, deadline)
				}
			}
		}
	}
	d := loadDict(&h, true)
	expireDict(t, &d, model)
	seen := 0
	for cursor := uint64(0); ; {
		if cursor = d.scan(cursor, 10, func(_, _ Element, _ int64) { seen++ }); cursor == 0 {
			break
		}
	}
	if seen != len(model) {
		t.Errorf("scan visits %d, want %d", seen, len(model))
	}
	for member := range model {
		d.remove([]byte(member))
	}
	d.save()
	h.empty(t)
}

// The bars of a large hash and a large set: bytes beside what is stored.
func TestDictMemory(t *testing.T) {
	f := func(name string, values bool, bar float64) {
		var h memberHome
		d := newDict(&h, values)
		const n = 200_000
		payload := 0
		for i := range n {
			member := fmt.Appendf(nil, "member:%09d", i)
			value := fmt.Appendf(nil, "value:%08d", i*7)
			d.put(member, value, 0)
			payload += len(member)
			if values {
				payload += len(value)
			}
		}
		d.save()
		if each := float64(int(h.nodes.Bytes())-payload) / n; each > bar {
			t.Errorf("%s: %.1f bytes per member beside the payload, want %.1f", name, each, bar)
		} else {
			t.Logf("%s: %.1f bytes", name, each)
		}
		h.nodes.Close()
	}
	f("hash", true, 14)
	f("set", false, 12)
}
