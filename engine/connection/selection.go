package connection

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"hyperkv/engine"
	"hyperkv/resp"
)

// selectionSyntax leaves out the opposites, which begin with NOT-.
const selectionSyntax = "[TYPE client-type(NORMAL | MASTER | PRIMARY | SLAVE | REPLICA | PUBSUB)] " +
	"[ID client-id [client-id ...]] [USER username] [ADDR addr] [LADDR laddr] [SKIPME skipme(YES | NO)] " +
	"[MAXAGE maxage:integer] [IDLE idle:integer] [NAME name] [FLAGS flags] [LIB-NAME libname] [LIB-VER libver] " +
	"[DB db] [IP ip]"

// A selection says which clients CLIENT LIST and CLIENT KILL are about: those
// that meet all its conditions. A filter given twice counts as given last.
type selection struct {
	// ids, if not nil, are the only clients to look at, in the order in which
	// they are listed.
	ids        []int64
	conditions []condition
	skipMe     bool
}

type condition struct {
	filter string // the word that set it
	holds  func(p *peer) bool
}

// purpose is what the selection is for; the two commands differ in how they
// treat identifiers that cannot be.
type purpose uint8

const (
	listing purpose = iota
	killing
)

const (
	errClientID        resp.Error = "ERR Invalid client ID"
	errClientIDTooLow  resp.Error = "ERR client-id should be greater than 0"
	filterWordBytesMax            = 16
)

// parse reads filters from position from on.
func (s *selection) parse(c *engine.Context, from int, why purpose) error {
	for i := from; i < len(c.Args); {
		filter := filterWord(c.Args[i])
		i++
		if i == len(c.Args) {
			return resp.ErrSyntax // no filter goes without a value
		}
		switch filter {
		case "ID", "NOT-ID":
			ids, err := parseIDs(c.Args[i:], why)
			if err != nil {
				return err
			}
			i += len(ids)
			if filter == "ID" {
				s.ids = ids
			} else {
				others := setOf(ids)
				s.set(filter, func(p *peer) bool { return !others[p.info.ID] })
			}
			continue
		case "SKIPME":
			switch {
			case resp.WordIs(c.Args[i], "YES"):
				s.skipMe = true
			case resp.WordIs(c.Args[i], "NO"):
				s.skipMe = false
			default:
				return resp.ErrSyntax
			}
		default:
			word, opposite := strings.CutPrefix(filter, "NOT-")
			f, known := filters[word]
			if !known || opposite && !f.hasOpposite {
				return resp.ErrSyntax
			}
			holds, err := f.read(c, filter, c.Args[i])
			if err != nil {
				return err
			}
			if opposite {
				s.set(filter, func(p *peer) bool { return !holds(p) })
			} else {
				s.set(filter, holds)
			}
		}
		i++
	}
	return nil
}

// filterWord is an argument as a key of filters, "" if it is far too long for one.
func filterWord(arg []byte) string {
	if len(arg) > filterWordBytesMax {
		return ""
	}
	return strings.ToUpper(string(arg))
}

// parseIDs reads identifiers up to the next filter. There is at least one.
func parseIDs(args [][]byte, why purpose) (ids []int64, err error) {
	for i, arg := range args {
		id, ok := resp.ParseInt(arg)
		switch {
		case !ok && i > 0 && isFilter(arg):
			return ids, nil
		case !ok && i > 0 && why == killing:
			return nil, resp.ErrSyntax
		case why == killing && id < 1: // also what is no number
			return nil, errClientIDTooLow
		case !ok:
			return nil, errClientID
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func setOf(ids []int64) map[int64]bool {
	set := make(map[int64]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

func isFilter(arg []byte) bool {
	word := filterWord(arg)
	if word == "SKIPME" {
		return true
	}
	word, opposite := strings.CutPrefix(word, "NOT-")
	if word == "ID" {
		return true
	}
	f, known := filters[word]
	return known && (f.hasOpposite || !opposite)
}

func (s *selection) set(filter string, holds func(p *peer) bool) {
	s.conditions = slices.DeleteFunc(s.conditions, func(c condition) bool { return c.filter == filter })
	s.conditions = append(s.conditions, condition{filter, holds})
}

// address is the filter of the old form of CLIENT KILL.
func (s *selection) address(addr []byte) { s.set("ADDR", byText(addr, addrOf)) }

// find takes down the clients that are meant. One that was killed a moment ago,
// and whose loop has not yet closed it, is gone already.
func (s *selection) find(c *engine.Context) []peer {
	var sessions []*engine.Session
	if s.ids == nil {
		sessions = c.Engine.Clients()
	} else {
		listed := make(map[int64]bool)
		for _, id := range s.ids {
			if listed[id] {
				continue
			}
			listed[id] = true
			if session := c.Engine.Client(id); session != nil {
				sessions = append(sessions, session)
			}
		}
	}
	peers := make([]peer, 0, len(sessions))
	for _, session := range sessions {
		self := session == c.Session
		if self && s.skipMe || !self && session.Killed() {
			continue
		}
		if p := peerOf(c, session); s.holds(&p) {
			peers = append(peers, p)
		}
	}
	return peers
}

func (s *selection) holds(p *peer) bool {
	for i := range s.conditions {
		if !s.conditions[i].holds(p) {
			return false
		}
	}
	return true
}

// A filter reads its value into a condition. The word is passed along because
// some errors repeat it, NOT- included.
type filter struct {
	read        func(c *engine.Context, word string, value []byte) (func(p *peer) bool, error)
	hasOpposite bool
}

var filters = map[string]filter{
	"ADDR":     {textFilter(addrOf), true},
	"LADDR":    {textFilter(func(p *peer) string { return p.info.LocalAddr }), true},
	"NAME":     {textFilter(func(p *peer) string { return p.info.Name }), true},
	"LIB-NAME": {textFilter(func(p *peer) string { return p.info.LibName }), true},
	"LIB-VER":  {textFilter(func(p *peer) string { return p.info.LibVersion }), true},
	"IP":       {textFilter(hostOf), true},
	"TYPE":     {typeFilter, true},
	"USER":     {userFilter, true},
	"FLAGS":    {flagsFilter, true},
	"DB":       {dbFilter, true},
	"MAXAGE":   {atLeast(func(p *peer) time.Duration { return p.info.Age }), false},
	"IDLE":     {atLeast(func(p *peer) time.Duration { return p.info.Idle }), false},
}

func addrOf(p *peer) string { return p.info.Addr }

func hostOf(p *peer) string {
	if host, _, err := net.SplitHostPort(p.info.Addr); err == nil {
		return host
	}
	return p.info.Addr
}

func byText(value []byte, of func(p *peer) string) func(p *peer) bool {
	text := string(value)
	return func(p *peer) bool { return of(p) == text }
}

func textFilter(of func(p *peer) string) func(*engine.Context, string, []byte) (func(p *peer) bool, error) {
	return func(_ *engine.Context, _ string, value []byte) (func(p *peer) bool, error) {
		return byText(value, of), nil
	}
}

// typeFilter knows the types of Redis. Subscribers do not exist yet; monitors always
// were normal.
func typeFilter(_ *engine.Context, _ string, value []byte) (func(p *peer) bool, error) {
	switch {
	case resp.WordIs(value, "NORMAL"):
		return func(p *peer) bool { return !p.info.Replica && !p.info.Primary }, nil
	case resp.WordIs(value, "MASTER"), resp.WordIs(value, "PRIMARY"):
		return func(p *peer) bool { return p.info.Primary }, nil
	case resp.WordIs(value, "SLAVE"), resp.WordIs(value, "REPLICA"):
		return func(p *peer) bool { return p.info.Replica }, nil
	case resp.WordIs(value, "PUBSUB"):
		return func(*peer) bool { return false }, nil
	}
	return nil, resp.Error("ERR Unknown client type '" + shown(value) + "'")
}

func userFilter(_ *engine.Context, _ string, value []byte) (func(p *peer) bool, error) {
	if string(value) != defaultUser {
		return nil, resp.Error("ERR No such user '" + shown(value) + "'")
	}
	return func(*peer) bool { return true }, nil
}

// flagLetterSet are all letters that the field flags may show in Redis.
const flagLetterSet = "OSMPxbtRBdcuAUreTN"

// flagsFilter asks for all of the given letters.
func flagsFilter(_ *engine.Context, word string, value []byte) (func(p *peer) bool, error) {
	if len(strings.Trim(string(value), flagLetterSet)) > 0 {
		where := "provided"
		if word != "FLAGS" {
			where = word
		}
		return nil, resp.Error("ERR Unknown flags found in the " + where + " filter: " + shown(value))
	}
	letters := string(value)
	return func(p *peer) bool {
		for i := range len(letters) {
			if strings.IndexByte(p.flags, letters[i]) < 0 {
				return false
			}
		}
		return true
	}, nil
}

func dbFilter(c *engine.Context, word string, value []byte) (func(p *peer) bool, error) {
	db, err := int32Of(value)
	if err != nil {
		return nil, resp.Error("ERR " + word + " is not an integer or out of range")
	}
	if db < 0 || db >= databases(c) {
		return nil, resp.Error("ERR " + word + " number should be between 0 and " + strconv.Itoa(databases(c)-1))
	}
	return func(p *peer) bool { return p.info.DB == db }, nil
}

// atLeast compares whole seconds.
func atLeast(of func(p *peer) time.Duration) func(*engine.Context, string, []byte) (func(p *peer) bool, error) {
	return func(_ *engine.Context, word string, value []byte) (func(p *peer) bool, error) {
		seconds, ok := resp.ParseInt(value)
		if !ok {
			return nil, resp.Error("ERR " + strings.ToLower(word) + " is not an integer or out of range")
		}
		if seconds <= 0 {
			return nil, resp.Error("ERR " + strings.ToLower(word) + " should be greater than 0")
		}
		return func(p *peer) bool { return int64(of(p)/time.Second) >= seconds }, nil
	}
}
