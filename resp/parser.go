package resp

import (
	"bytes"
)

// Limits bounds what one command may ask of the server.
type Limits struct {
	// BulkBytesMax is the longest argument, proto-max-bulk-len in Redis.
	BulkBytesMax int
	// ArgsMax is the largest number of arguments, the command name included.
	ArgsMax int
	// InlineBytesMax is how far a line may run without ending, be it an
	// inline command or a length.
	InlineBytesMax int
	// Unauthenticated adds the much tighter bounds for a client that has yet
	// to log in, so that strangers cannot make the server hold memory.
	Unauthenticated bool
}

// What a client that has not authenticated may send.
const (
	unauthArgsMax      = 10
	unauthBulkBytesMax = 16 << 10
)

// Immutable: a session that wants other bounds copies one of them.
var (
	DefaultLimits = Limits{BulkBytesMax: 512 << 20, ArgsMax: 1 << 20, InlineBytesMax: 64 << 10}
	UnauthLimits  = Limits{BulkBytesMax: 512 << 20, ArgsMax: 1 << 20, InlineBytesMax: 64 << 10, Unauthenticated: true}
)

// Parser cuts commands out of a stream of bytes.
//
// It holds only numbers, so an idle connection costs a few words. While a
// command arrives in pieces, the parser merely counts how much of it is there;
// the arguments are collected in one sweep when its last byte has come. A
// command is thereby looked at twice at most, however many pieces it came in,
// and the buffer may move between calls.
//
// The zero value is ready. Owned by the connection's session.
type Parser struct {
	pos  int // start of the first element that is not complete yet
	left int // arguments still missing; 0 while their count is unknown
	bulk int // length of the argument at pos, or -1 before its header; only while left > 0
	seen int // bytes of the line at pos that were already searched for its end
}

// Reset forgets a pending command.
func (p *Parser) Reset() { *p = Parser{} }

// Need tells, after an incomplete parse, how many bytes the pending command
// must have in total before calling Next again is of any use: the end of the
// argument under way. It is 0 when that is not known.
func (p *Parser) Need() int {
	if p.left > 0 && p.bulk >= 0 {
		return p.pos + p.bulk + 2
	}
	return 0
}

// Next parses the one command that starts at buf[0], appends its arguments to
// args and returns the number of bytes it occupied. The arguments are borrowed
// from buf.
//
// n == 0 without an error means that the command is not complete: call again
// with the same bytes followed by more. An empty command has n > 0 and adds no
// argument; it is to be ignored. An error is always a *ProtocolError, and the
// connection must be closed after it was answered. A nil lim means
// DefaultLimits.
//
// Quoted arguments of an inline command are unescaped in place: buf is written
// to, within the bytes consumed.
func (p *Parser) Next(buf []byte, lim *Limits, args [][]byte) (out [][]byte, n int, err error) {
	if len(buf) == 0 {
		return args, 0, nil
	}
	if lim == nil {
		lim = &DefaultLimits
	}
	if buf[0] != '*' {
		return p.inline(buf, lim, args)
	}
	if p.left|p.seen != 0 {
		_, n, err = p.walk(buf, lim, args, len(args), false)
		if n == 0 {
			return args, 0, err
		}
		// All of it is here now; collect it.
	}
	argsMax, bulkMax := lim.ArgsMax, lim.BulkBytesMax
	if lim.Unauthenticated {
		argsMax, bulkMax = min(argsMax, unauthArgsMax), min(bulkMax, unauthBulkBytesMax)
	}

	// The common form, without detours. Whatever does not look like it is left
	// to walk, which knows all forms and all errors.
	base := len(args)
	if len(buf) < 4 {
		return p.walk(buf, lim, args, base, true)
	}
	i, count := 4, int(buf[1]-'0')
	if uint(count-1) >= 9 || buf[2] != '\r' {
		if count, i = lengthAt(buf, 1); i == 0 {
			return p.walk(buf, lim, args, base, true)
		}
	}
	if count > argsMax {
		return p.walk(buf, lim, args, base, true)
	}
	for ; count > 0; count-- {
		if len(buf)-i < 4 || buf[i] != '$' {
			break
		}
		size, at := int(buf[i+1]-'0'), i+4
		if size > 9 || buf[i+2] != '\r' {
			if size, at = lengthAt(buf, i+1); at == 0 {
				break
			}
		}
		end := at + size
		if size > bulkMax || len(buf)-end < 2 {
			break
		}
		args = append(args, buf[at:end:end])
		i = end + 2
	}
	if count == 0 {
		return args, i, nil
	}
	p.pos, p.left, p.bulk, p.seen = i, count, -1, 0
	return p.walk(buf, lim, args, base, true)
}

// lengthAt reads a length of up to nine digits without a leading zero, and
// returns it with the position behind its line end. The position is 0 when
// anything else stands at i. Like Redis, it does not look at the byte after CR.
func lengthAt(buf []byte, i int) (length, next int) {
	if i >= len(buf) || buf[i]-'1' > 8 {
		return 0, 0
	}
	rest := buf[i:]
	for k, c := range rest {
		d := c - '0'
		if d > 9 {
			if c != '\r' || k+1 == len(rest) {
				return 0, 0
			}
			return length, i + k + 2
		}
		if k == 9 {
			break
		}
		length = length*10 + int(d)
	}
	return 0, 0
}

// walk goes through a multibulk command from where the parser stopped, to its
// end or to the end of what has arrived. The rules and the order of the checks
// are Redis': the line must be there before it is judged, and the bytes after
// CR and after an argument are skipped unseen.
func (p *Parser) walk(buf []byte, lim *Limits, args [][]byte, base int, collect bool) ([][]byte, int, error) {
	if p.pos > len(buf) {
		return args[:base], 0, nil // fewer bytes than before: not ours to judge
	}
	if p.left == 0 {
		cr := p.lineEnd(buf, '\r', lim.InlineBytesMax)
		if cr == lineOpen {
			return args[:base], 0, nil
		}
		if cr == lineTooLong {
			return p.fail(args[:base], errBigCount)
		}
		n, ok := ParseInt(buf[p.pos+1 : cr])
		switch {
		case !ok || n > int64(lim.ArgsMax):
			return p.fail(args[:base], errCount)
		case lim.Unauthenticated && n > unauthArgsMax:
			return p.fail(args[:base], errUnauthCount)
		case n <= 0:
			p.Reset()
			return args[:base], cr + 2, nil
		}
		p.pos, p.left, p.bulk, p.seen = cr+2, int(n), -1, 0
	}
	for p.left > 0 {
		if p.bulk < 0 {
			var size, next int
			if p.pos < len(buf) && buf[p.pos] == '$' {
				size, next = lengthAt(buf, p.pos+1)
			}
			if next == 0 {
				cr := p.lineEnd(buf, '\r', lim.InlineBytesMax)
				if cr == lineOpen {
					return args[:base], 0, nil
				}
				if cr == lineTooLong {
					return p.fail(args[:base], errBigLength)
				}
				if c := buf[p.pos]; c != '$' {
					return p.fail(args[:base], unexpectedByte(c))
				}
				n, ok := ParseInt(buf[p.pos+1 : cr])
				if !ok || n < 0 || n > int64(lim.BulkBytesMax) {
					return p.fail(args[:base], errLength)
				}
				size, next = int(n), cr+2
			}
			if size > lim.BulkBytesMax {
				return p.fail(args[:base], errLength)
			}
			if lim.Unauthenticated && size > unauthBulkBytesMax {
				return p.fail(args[:base], errUnauthLength)
			}
			p.pos, p.bulk, p.seen = next, size, 0
		}
		if len(buf)-p.pos-2 < p.bulk {
			return args[:base], 0, nil
		}
		end := p.pos + p.bulk
		if collect {
			args = append(args, buf[p.pos:end:end])
		}
		p.pos, p.bulk = end+2, -1
		p.left--
	}
	n := p.pos
	p.Reset()
	return args, n, nil
}

func (p *Parser) fail(args [][]byte, err *ProtocolError) ([][]byte, int, error) {
	p.Reset()
	return args, 0, err
}

// What lineEnd returns when the line has no end yet.
const (
	lineOpen    = -1
	lineTooLong = -2
)

// lineEnd finds the byte that ends the line at p.pos; a CR counts only with the
// byte after it. Bytes are searched once, over all calls. A line that holds a
// zero byte never ends, as for the C string functions of Redis: it runs into
// the limit, which is how a client that lost track of the protocol is
// recognised. The limit is judged by the line alone and not by how much of it
// came at once, so every split of the input has the same outcome.
func (p *Parser) lineEnd(buf []byte, end byte, bytesMax int) int {
	rest := buf[p.pos:]
	line := rest[:min(len(rest), bytesMax+1)]
	from := min(p.seen, len(line))
	i := bytes.IndexByte(line[from:], end)
	stop := len(line)
	if i >= 0 {
		stop = from + i
	}
	if zero := bytes.IndexByte(line[from:stop], 0); zero >= 0 {
		stop, i = from+zero, -1
	}
	p.seen = stop
	switch {
	case i >= 0 && (end != '\r' || stop+1 < len(rest)):
		return p.pos + stop
	case i < 0 && len(rest) > bytesMax:
		return lineTooLong
	}
	return lineOpen
}
