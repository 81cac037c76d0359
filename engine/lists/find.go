package lists

import (
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

const (
	errRankZero resp.Error = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... " +
		"or use negative to start from the end of the list"
	errCountNegative  resp.Error = "ERR COUNT can't be negative"
	errMaxLenNegative resp.Error = "ERR MAXLEN can't be negative"
	errNotLowest      resp.Error = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)

// search is what LPOS is asked for.
type search struct {
	skip   int64 // matches to pass over
	back   bool
	count  int64 // matches wanted; 0 for all, and -1 for one that is answered alone
	maxLen int64 // elements to look at; 0 for all
}

// parse reads the options of LPOS.
func (s *search) parse(args [][]byte) error {
	s.count = -1
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			return resp.ErrSyntax
		}
		n, ok := resp.ParseInt(args[i+1])
		switch word := args[i]; {
		case resp.WordIs(word, "RANK"):
			switch {
			case !ok:
				return resp.ErrNotInteger
			case n == math.MinInt64:
				return errNotLowest
			case n == 0:
				return errRankZero
			}
			s.back = n < 0
			s.skip = max(n, -n) - 1
		case resp.WordIs(word, "COUNT"):
			if !ok || n < 0 {
				return errCountNegative
			}
			s.count = n
		case resp.WordIs(word, "MAXLEN"):
			if !ok || n < 0 {
				return errMaxLenNegative
			}
			s.maxLen = n
		default:
			return resp.ErrSyntax
		}
	}
	return nil
}

// LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]
func lpos(c *shard.Call) error {
	var s search
	if err := s.parse(c.Args[3:]); err != nil {
		return err
	}
	v, err := c.DB.Open(c.Args[1], object.List)
	if err != nil {
		return err
	}
	var numbers []int
	if v != nil {
		l := object.ListOf(v, c.Limits())
		numbers = s.run(&l, object.ElementOf(c.Args[2]))
	}
	if s.count >= 0 {
		c.Reply.Array(len(numbers))
		for _, n := range numbers {
			c.Reply.Int(int64(n))
		}
		return nil
	}
	if len(numbers) == 0 {
		return c.Reply.Null()
	}
	return c.Reply.Int(int64(numbers[0]))
}

// run returns where the elements are.
func (s *search) run(l *object.ListView, e object.Element) (numbers []int) {
	from, to := 0, l.Len()
	if s.maxLen > 0 && s.maxLen < int64(to) {
		if s.back {
			from = to - int(s.maxLen)
		} else {
			to = int(s.maxLen)
		}
	}
	wanted, skip := s.count, s.skip
	if wanted < 0 {
		wanted = 1
	}
	l.Find(e, from, to, s.back, func(number int) bool {
		if skip > 0 {
			skip--
			return true
		}
		numbers = append(numbers, number)
		return int64(len(numbers)) != wanted
	})
	return numbers
}
