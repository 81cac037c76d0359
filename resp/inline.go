package resp

// inline parses a command written as a line of words, the form for people with
// telnet. A bare LF ends the line as well.
func (p *Parser) inline(buf []byte, lim *Limits, args [][]byte) ([][]byte, int, error) {
	p.pos, p.left = 0, 0
	lf := p.lineEnd(buf, '\n', lim.InlineBytesMax)
	if lf == lineOpen {
		return args, 0, nil
	}
	if lf == lineTooLong {
		return p.fail(args, errBigInline)
	}
	p.Reset()
	end := lf
	if end > 0 && buf[end-1] == '\r' {
		end--
	}
	out, ok := SplitArgs(buf[:end], args)
	if !ok {
		return p.fail(args, errQuotes)
	}
	return out, lf + 1, nil
}

// SplitArgs splits a line into words by the rules of inline commands and of
// redis-cli, and appends them to args:
//
//	"..."  understands \xHH \n \r \t \b \a, and \c as the byte c
//	'...'  understands \' only
//
// A closing quote must end its word. The words are borrowed from line and
// unescaped in place, which works because an escape never is shorter than what
// it stands for. ok is false when a quote is left open or closes within a word;
// the line is spoiled then.
func SplitArgs(line []byte, args [][]byte) (out [][]byte, ok bool) {
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return args, true
		}
		start, w := i, i // the word is line[start:w]
	word:
		for i < len(line) {
			c := line[i]
			switch c {
			case ' ', '\n', '\r', '\t', 0:
				break word
			case '"', '\'':
				if i, w, ok = unquote(line, i, w); !ok {
					return args, false
				}
				break word
			}
			line[w] = c
			w++
			i++
		}
		args = append(args, line[start:w:w])
		if i < len(line) && line[i] == 0 {
			return args, true // a C string would end here
		}
	}
}

// unquote copies the quoted text that opens at line[i] down to line[w:] and
// returns the positions behind both.
func unquote(line []byte, i, w int) (next, end int, ok bool) {
	quote := line[i]
	for i++; i < len(line); i++ {
		c := line[i]
		switch {
		case c == quote:
			i++
			return i, w, i == len(line) || isSpace(line[i])
		case c == '\\' && quote == '\'':
			if i+1 < len(line) && line[i+1] == '\'' {
				i++
				c = '\''
			}
		case c == '\\' && i+3 < len(line) && line[i+1] == 'x' && hexDigit(line[i+2]) < 16 && hexDigit(line[i+3]) < 16:
			c = hexDigit(line[i+2])<<4 | hexDigit(line[i+3])
			i += 3
		case c == '\\' && i+1 < len(line):
			i++
			switch c = line[i]; c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'b':
				c = '\b'
			case 'a':
				c = '\a'
			}
		}
		line[w] = c
		w++
	}
	return i, w, false
}

func isSpace(c byte) bool { return c == ' ' || c-'\t' < 5 }

// hexDigit is the value of a hexadecimal digit, 255 for any other byte.
func hexDigit(c byte) byte {
	switch {
	case c-'0' < 10:
		return c - '0'
	case (c|0x20)-'a' < 6:
		return (c | 0x20) - 'a' + 10
	}
	return 255
}
