package shard

// EventClass is the class of a keyspace event, one letter of Redis'
// notify-keyspace-events.
type EventClass byte

// The classes of Redis' notify-keyspace-events.
const (
	EventGeneric EventClass = 'g'
	EventString  EventClass = '$'
	EventList    EventClass = 'l'
	EventSet     EventClass = 's'
	EventHash    EventClass = 'h'
	EventZSet    EventClass = 'z'
	EventStream  EventClass = 't'
	EventExpired EventClass = 'x'
	EventEvicted EventClass = 'e'
	EventNew     EventClass = 'n'
	EventMiss    EventClass = 'm'
)

// Event says what happened to a key, under the name that Redis gives it.
func (c *Call) Event(class EventClass, name string, key []byte) {
	c.EventIn(c.DB.Number, class, name, key)
}

// EventIn is Event for a key of another database than the selected one.
func (c *Call) EventIn(database int, class EventClass, name string, key []byte) {
	if hook := c.set.hooks.Event; hook != nil {
		hook(c.shardOf(key, c.hashOf(key)), database, class, name, key)
	}
}
