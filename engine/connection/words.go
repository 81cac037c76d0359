package connection

import (
	"bytes"
	"math"

	"hyperkv/resp"
)

// onOff reads ON or OFF.
func onOff(arg []byte) (on bool, err error) {
	switch {
	case resp.WordIs(arg, "ON"):
		return true, nil
	case resp.WordIs(arg, "OFF"):
		return false, nil
	}
	return false, resp.ErrSyntax
}

const errNot32Bits resp.Error = "ERR value is out of range, value must between -2147483648 and 2147483647"

// int32Of reads a number that Redis keeps in an int.
func int32Of(arg []byte) (int, error) {
	n, ok := resp.ParseInt(arg)
	if !ok {
		return 0, resp.ErrNotInteger
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		return 0, errNot32Bits
	}
	return int(n), nil
}

// shown is an argument as an error repeats it: up to a zero byte, as C's
// formatting does. The reply writer takes care of line ends.
func shown(arg []byte) string {
	if zero := bytes.IndexByte(arg, 0); zero >= 0 {
		arg = arg[:zero]
	}
	return string(arg)
}

// listable says whether text can stand in a line of CLIENT LIST, whose fields
// are told apart by spaces.
func listable(text []byte) bool {
	for _, c := range text {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}
