package server

import (
	"crypto/fips140"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"

	"hyperkv/engine"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// DEBUG DIGEST and DEBUG DIGEST-VALUE answer the digests of Redis 7.0, bit for bit, so
// that a test can compare datasets between servers, and before and after a restart. What
// has an order is chained, what has none is added:
//
//	dataset   for each database with keys: chain its number, then add each key's digest
//	key       chain the name, then take in the value
//	value     chain the type, take in the content, and add "!!expire!!" if the key expires
//	string    chain the text
//	list      chain each element
//	set       add each member
//	zset      add each pair's digest:   chain the member, chain the score
//	hash      add each field's digest:  chain the field, chain the value
//	stream    for each entry, chain the ID, then fields and values in turn
//
// That something expires counts, and when does not: servers that were given the same
// commands may be some milliseconds apart. To the digest of a field that expires
// "!!hexpire!!" is added, as in Redis 7.4. There is no such example for members of sets,
// so they follow that one: of a member that expires the digest is added (chain the member,
// add "!!hexpire!!"), of others the text.
//
// What has expired is not there, even if it still takes up room. A stream's groups and
// its last ID do not count.

// digestRow is the row of DIGEST under DEBUG.
var digestRow = engine.Command{
	Name: "DIGEST", Arity: 2, Run: debugDigest, Scope: engine.ScopeAll, Flags: ofDebug | engine.Long,
	Summary: "Answers a digest of all keys of all databases.",
	Since:   "2.0.0", Complexity: "O(N) with the size of the dataset",
}

// digestValueRow is the row of DIGEST-VALUE. As in Redis, no keys get an empty array.
var digestValueRow = engine.Command{
	Name: "DIGEST-VALUE", Arity: -2, Run: debugDigestValue, Keys: engine.KeyRange(2, -1, 1, "RO"), Flags: ofDebug | engine.Long,
	Summary: "Answers a digest of each key's value, zeros where there is no key.",
	Since:   "5.0.0", Complexity: "O(N) with the size of the values", Syntax: "key [key ...]",
}

// The marks of what expires are part of the digests.
var (
	keyExpires    = []byte("!!expire!!")
	memberExpires = []byte("!!hexpire!!")
)

// typeNumbers are Redis' numbers of the types.
var typeNumbers = [...]uint32{
	object.String: 0, object.List: 1, object.Set: 2, object.ZSet: 3, object.Hash: 4, object.Stream: 6,
}

// DEBUG DIGEST
func debugDigest(c *shard.Call) error {
	var sum digest
	comparing(func() { sum = datasetDigest(c) })
	return sum.reply(c)
}

// DEBUG DIGEST-VALUE key [key ...]
func debugDigestValue(c *shard.Call) error {
	c.Reply.Array(len(c.Args) - 2)
	for _, key := range c.Args[2:] {
		var sum digest
		if e := c.DB.Peek(key); e.Exists() {
			comparing(func() { sum = valueDigest(c, c.DB, key, e) })
		}
		sum.reply(c)
	}
	return nil
}

// comparing runs f, which may use SHA-1 also where GODEBUG=fips140=only would end the
// process for it: these digests secure nothing, they tell datasets apart.
func comparing(f func()) { fips140.WithoutEnforcement(f) }

// A digest is the state of a sum over values. The zero digest is that of nothing.
type digest [sha1.Size]byte

// add takes data in; it does not matter in which order data is added.
func (d *digest) add(data []byte) {
	d.merge(sha1.Sum(data))
}

// chain takes data in as what follows all that was taken in before.
func (d *digest) chain(data []byte) {
	d.add(data)
	*d = sha1.Sum(d[:])
}

func (d *digest) chainNumber(n uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	d.chain(b[:])
}

// merge takes in all that was added to other.
func (d *digest) merge(other digest) { subtle.XORBytes(d[:], d[:], other[:]) }

func (d *digest) reply(c *shard.Call) error { return c.Reply.Simple(hex.EncodeToString(d[:])) }

func datasetDigest(c *shard.Call) (sum digest) {
	for number := range c.Databases() {
		db, any := c.DBAt(number), false
		var entries digest
		db.Each(func(e keyspace.Entry) {
			key := e.Key()
			entry := digest{}
			entry.chain(key)
			if entry.value(c, db, key, e) {
				entries.add(entry[:])
				any = true
			}
		})
		if any {
			sum.chainNumber(uint32(number))
			sum.merge(entries)
		}
	}
	return sum
}

func valueDigest(c *shard.Call, db shard.DB, key []byte, e keyspace.Entry) (sum digest) {
	if !sum.value(c, db, key, e) {
		return digest{}
	}
	return sum
}

// value takes in the value of a key. It says whether there is one: of a collection
// all elements may have expired, and then the digest is not of anything.
func (d *digest) value(c *shard.Call, db shard.DB, key []byte, e keyspace.Entry) bool {
	d.chainNumber(typeNumbers[e.Type()])
	if !d.content(c, db, key, e) {
		return false
	}
	if e.Deadline() != 0 {
		d.add(keyExpires)
	}
	return true
}

func (d *digest) content(c *shard.Call, db shard.DB, key []byte, e keyspace.Entry) bool {
	if e.Type() == object.String {
		d.text(e)
		return true
	}
	v := db.OpenEntry(key, e)
	switch e.Type() {
	case object.List:
		list := object.ListOf(v, c.Limits())
		d.list(&list)
	case object.Set:
		set := object.SetOf(v, c.Limits(), c.Now)
		return d.set(&set)
	case object.ZSet:
		zset := object.ZSetOf(v, c.Limits())
		d.zset(&zset)
	case object.Hash:
		hash := object.HashOf(v, c.Limits(), c.Now)
		return d.hash(&hash)
	case object.Stream:
		stream := object.StreamOf(v, c.Limits())
		d.stream(&stream)
	}
	return true
}

func (d *digest) text(e keyspace.Entry) {
	if _, ok := e.Int(); ok {
		var digits [20]byte
		d.chain(e.AppendString(digits[:0]))
		return
	}
	d.chain(e.Bytes())
}

func (d *digest) list(list *object.ListView) {
	var digits [20]byte
	list.Each(0, list.Len(), func(e object.Element) bool {
		d.chain(e.Bytes(digits[:0]))
		return true
	})
}

func (d *digest) set(set *object.SetView) (any bool) {
	var digits [20]byte
	set.EachUntil(func(e object.Element, deadline int64) bool {
		any = true
		text := e.Bytes(digits[:0])
		if deadline == 0 {
			d.add(text)
			return true
		}
		var member digest
		member.chain(text)
		member.add(memberExpires)
		d.add(member[:])
		return true
	})
	return any
}

func (d *digest) zset(zset *object.ZSetView) {
	var digits [20]byte
	var score [32]byte
	zset.Range(0, zset.Len()-1, false, func(e object.Element, value float64) bool {
		var pair digest
		pair.chain(e.Bytes(digits[:0]))
		pair.chain(appendScore(score[:0], value))
		d.add(pair[:])
		return true
	})
}

// appendScore appends a score as C's printf does with %.17g.
func appendScore(dst []byte, score float64) []byte {
	switch {
	case math.IsInf(score, 1):
		return append(dst, "inf"...)
	case math.IsInf(score, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, score, 'g', 17, 64)
}

func (d *digest) hash(hash *object.HashView) (any bool) {
	var digits [20]byte
	hash.Each(func(field, value object.Element, deadline int64) bool {
		any = true
		var pair digest
		pair.chain(field.Bytes(digits[:0]))
		pair.chain(value.Bytes(digits[:0]))
		if deadline != 0 {
			pair.add(memberExpires)
		}
		d.add(pair[:])
		return true
	})
	return any
}

func (d *digest) stream(stream *object.StreamView) {
	var digits [20]byte
	var id [48]byte
	stream.EachEntry(func(e *object.StreamEntry) bool {
		text := strconv.AppendUint(id[:0], e.ID.Ms, 10)
		text = append(text, '.')
		d.chain(strconv.AppendUint(text, e.ID.Seq, 10))
		e.Each(func(field, value object.Element) {
			d.chain(field.Bytes(digits[:0]))
			d.chain(value.Bytes(digits[:0]))
		})
		return true
	})
}
