package strings

import (
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// setWith is SET with options.
//
// A time that has already come is no error: the key is then gone at once, and
// the effect says so, because a replica's clock must not decide it again.
func setWith(c *shard.Call) error {
	var o options
	if err := o.parse(c.Args[3:], forSet); err != nil {
		return err
	}
	at, err := o.deadline(c.Clock, errExpireSet)
	if err != nil {
		return err
	}
	key, value := c.Args[1], c.Args[2]
	var e keyspace.Entry
	if o.get {
		e, err = c.DB.String(key)
		if err != nil {
			return err
		}
	} else {
		e = c.DB.LookupWrite(key)
	}
	met, err := o.met(e)
	if err != nil {
		return err
	}
	switch {
	case o.get:
		replyValue(c, e)
	case met:
		c.Reply.OK()
	default:
		c.Reply.Null()
	}
	switch {
	case !met:
	case o.expiry.timed() && at <= c.Now:
		if e.Exists() {
			expire(c, key, e)
		}
	case o.expiry.timed():
		setUntil(c, key, value, at)
		if o.expiry != atMillis { // else it is recorded as it was typed
			c.Effect(wordSet, key, value, wordPXAT, c.Int(at))
		}
	default:
		if o.expiry == keepExpiry && e.Exists() {
			at = e.Deadline()
		}
		c.DB.Set(key, value, at)
		c.Event(shard.EventString, "set", key)
		if at != 0 {
			c.Effect(wordSet, key, value, wordKeepTTL)
		} else {
			c.Effect(wordSet, key, value)
		}
	}
	return nil
}

// remove deletes a key on behalf of a client.
func remove(c *shard.Call, key []byte, e keyspace.Entry) {
	c.DB.Delete(key, e)
	c.Event(shard.EventGeneric, "del", key)
	c.Effect(wordDel, key)
}

// expire deletes a key that was given a deadline which has passed.
func expire(c *shard.Call, key []byte, e keyspace.Entry) {
	c.DB.Delete(key, e)
	c.Event(shard.EventGeneric, "del", key)
	c.EffectExpired(key)
}

// GETEX key [expiration]
func getex(c *shard.Call) error {
	var o options
	if err := o.parse(c.Args[2:], forGet); err != nil {
		return err
	}
	key := c.Args[1]
	e, err := c.DB.String(key)
	if err != nil {
		return err
	}
	if !e.Exists() {
		return c.Reply.Null() // before the time is looked at, as in Redis
	}
	at, err := o.deadline(c.Clock, errExpireGetEx)
	if err != nil {
		return err
	}
	replyValue(c, e)
	switch {
	case o.expiry.timed() && at <= c.Now:
		expire(c, key, e)
	case o.expiry.timed():
		c.DB.SetDeadline(key, e, at)
		c.Event(shard.EventGeneric, "expire", key)
		c.Effect(wordPExpireAt, key, c.Int(at))
	case o.expiry == persistExpiry && e.Deadline() != 0:
		c.DB.SetDeadline(key, e, 0)
		c.Event(shard.EventGeneric, "persist", key)
		c.Effect(wordPersist, key)
	}
	return nil
}

const (
	errNumKeys resp.Error = "ERR invalid numkeys value"
	errPairs   resp.Error = "ERR wrong number of key-value pairs"
)

// MSETEX numkeys key value [key value ...] [NX | XX] [expiration]
//
// Its effects are one SET per key: the keys may live on several shards and, with
// KEEPTTL, have different deadlines.
func msetex(c *shard.Call) error {
	count, ok := resp.ParseInt(c.Args[1])
	if !ok || count < 1 || count > math.MaxInt32 {
		return errNumKeys
	}
	if count > int64(len(c.Args)-2)/2 {
		return errPairs
	}
	pairs := c.Args[2 : 2+2*count]
	var o options
	if err := o.parse(c.Args[2+2*count:], forMany); err != nil {
		return err
	}
	at, err := o.deadline(c.Clock, errExpireMSetEx)
	if err != nil {
		return err
	}
	if o.when != always {
		for i := 0; i < len(pairs); i += 2 {
			if c.DB.LookupWrite(pairs[i]).Exists() != (o.when == ifPresent) {
				return c.Reply.Int(0)
			}
		}
	}
	switch {
	case o.expiry.timed() && at <= c.Now:
		for i := 0; i < len(pairs); i += 2 {
			if e := c.DB.LookupWrite(pairs[i]); e.Exists() {
				expire(c, pairs[i], e)
			}
		}
	case o.expiry.timed():
		setPairs(c, pairs, at)
		when := c.Int(at)
		for i := 0; i < len(pairs); i += 2 {
			c.Effect(wordSet, pairs[i], pairs[i+1], wordPXAT, when)
		}
	default:
		for i := 0; i < len(pairs); i += 2 {
			key, value := pairs[i], pairs[i+1]
			at = 0
			if o.expiry == keepExpiry {
				if e := c.DB.LookupWrite(key); e.Exists() {
					at = e.Deadline()
				}
			}
			c.DB.Set(key, value, at)
			c.Event(shard.EventString, "set", key)
			if at != 0 {
				c.Effect(wordSet, key, value, wordKeepTTL)
			} else {
				c.Effect(wordSet, key, value)
			}
		}
	}
	return c.Reply.Int(1)
}

const (
	errDelExType      resp.Error = "ERR Key should be of string type if conditions are specified"
	errDelExCondition resp.Error = "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"
)

// DELEX key [condition]
//
// Without a condition it removes a key of any type. The order in which it
// complains is Redis': an absent key is 0 whatever the condition says.
func delex(c *shard.Call) error {
	key := c.Args[1]
	if len(c.Args) != 2 && len(c.Args) != 4 {
		return errArityDelEx
	}
	e := c.DB.LookupWrite(key)
	if !e.Exists() {
		return c.Reply.Int(0)
	}
	if len(c.Args) == 4 {
		if e.Type() != object.String {
			return errDelExType
		}
		when := comparisonNamed(c.Args[2])
		if when == always {
			return errDelExCondition
		}
		met, err := compare(e, when, c.Args[3])
		if err != nil {
			return err
		}
		if !met {
			return c.Reply.Int(0)
		}
	}
	remove(c, key, e)
	return c.Reply.Int(1)
}

// DELIFEQ key value
func delifeq(c *shard.Call) error {
	key := c.Args[1]
	e, err := c.DB.StringForWrite(key)
	if err != nil {
		return err
	}
	if !e.Exists() {
		return c.Reply.Int(0)
	}
	if met, _ := compare(e, ifEqual, c.Args[2]); !met {
		return c.Reply.Int(0)
	}
	remove(c, key, e)
	return c.Reply.Int(1)
}
