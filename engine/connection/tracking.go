package connection

import (
	"bytes"

	"hyperkv/engine"
	"hyperkv/resp"
)

// noRedirection is the answer where no client gets another's invalidations.
const noRedirection = -1

const errTracking resp.Error = "ERR client side caching is not supported by this version of HyperKV: CLIENT TRACKING can only be OFF"

// trackingOptions are the arguments of CLIENT TRACKING behind ON or OFF.
type trackingOptions struct {
	redirect                 int64
	broadcast, optIn, optOut bool
	prefixes                 [][]byte
}

func (o *trackingOptions) parse(c *engine.Context) error {
	for i := 3; i < len(c.Args); i++ {
		arg, more := c.Args[i], i+1 < len(c.Args)
		switch {
		case resp.WordIs(arg, "REDIRECT") && more:
			i++
			if o.redirect != 0 {
				return resp.Error("ERR A client can only redirect to a single other client")
			}
			id, ok := resp.ParseInt(c.Args[i])
			if !ok {
				return resp.ErrNotInteger
			}
			if c.Engine.Client(id) == nil {
				return resp.Error("ERR The client ID you want redirect to does not exist")
			}
			o.redirect = id
		case resp.WordIs(arg, "BCAST"):
			o.broadcast = true
		case resp.WordIs(arg, "OPTIN"):
			o.optIn = true
		case resp.WordIs(arg, "OPTOUT"):
			o.optOut = true
		case resp.WordIs(arg, "NOLOOP"): // goes with everything
		case resp.WordIs(arg, "PREFIX") && more:
			i++
			o.prefixes = append(o.prefixes, c.Args[i])
		default:
			return resp.ErrSyntax
		}
	}
	return nil
}

// prefixesMax bounds the work of comparing prefixes with each other. A command
// with more of them is refused all the same, in other words.
const prefixesMax = 1000

// check refuses options that exclude each other.
func (o *trackingOptions) check() error {
	switch {
	case !o.broadcast && len(o.prefixes) > 0:
		return resp.Error("ERR PREFIX option requires BCAST mode to be enabled")
	case o.broadcast && (o.optIn || o.optOut):
		return resp.Error("ERR OPTIN and OPTOUT are not compatible with BCAST")
	case o.optIn && o.optOut:
		return resp.Error("ERR You can't specify both OPTIN mode and OPTOUT mode")
	}
	if len(o.prefixes) > prefixesMax {
		return nil
	}
	for i, a := range o.prefixes {
		for _, b := range o.prefixes[i+1:] {
			if bytes.HasPrefix(a, b) || bytes.HasPrefix(b, a) {
				return resp.Error("ERR Prefix '" + shown(a) + "' overlaps with another provided prefix '" + shown(b) +
					"'. Prefixes for a single client must not overlap.")
			}
		}
	}
	return nil
}

// CLIENT TRACKING ON | OFF [option ...]
func clientTracking(c *engine.Context) error {
	var options trackingOptions
	if err := options.parse(c); err != nil {
		return err
	}
	on, err := onOff(c.Args[2])
	if err != nil {
		return err
	}
	if !on {
		return c.Reply.OK()
	}
	if err := options.check(); err != nil {
		return err
	}
	return errTracking
}

// CLIENT CACHING YES | NO
//
// It is about a mode that no client can be in.
func clientCaching(*engine.Context) error {
	return resp.Error("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
}

// CLIENT GETREDIR
func clientGetRedir(c *engine.Context) error { return c.Reply.Int(noRedirection) }

// CLIENT TRACKINGINFO
func clientTrackingInfo(c *engine.Context) error {
	w := c.Reply
	w.Map(3)
	w.BulkString("flags")
	w.Set(1)
	w.BulkString("off")
	w.BulkString("redirect")
	w.Int(noRedirection)
	w.BulkString("prefixes")
	return w.Array(0)
}
