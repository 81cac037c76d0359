package server

import (
	"math"
	"math/rand/v2"
	"strings"

	"hyperkv/engine"
	"hyperkv/resp"
)

var lolwut = engine.Command{
	Name: "LOLWUT", Arity: -1, Session: lolwutCommand,
	Flags:   engine.Read | engine.Fast,
	Summary: "Draws something, and says which version this is.",
	Since:   "5.0.0", Complexity: "O(1)",
	Syntax: "[VERSION version:integer]",
}

// LOLWUT [VERSION version] [shards]
//
// What it draws are the shards of the server, as they fell. The optional number
// draws as many as one likes; what was meant for Redis' own drawings is accepted.
func lolwutCommand(c *engine.Context) error {
	args := c.Args[1:]
	if len(args) >= 2 && resp.WordIs(args[0], "VERSION") {
		if _, ok := resp.ParseInt(args[1]); !ok {
			return resp.ErrNotInteger
		}
		args = args[2:]
	} else if len(args) == 1 && resp.WordIs(args[0], "VERSION") {
		args = args[1:]
	}
	shards := len(c.Engine.Shards.Shards)
	if len(args) > 0 {
		n, ok := resp.ParseInt(args[0])
		if !ok {
			return resp.ErrNotInteger
		}
		shards = int(min(max(n, 1), lolwutShardsMax))
	}
	drawing := drawShards(min(shards, lolwutShardsMax), rand.New(rand.NewPCG(uint64(c.Engine.NowMillis()), uint64(c.Session.ID()))))
	return c.Reply.Verbatim("txt", drawing+"\nShards, each the master of its own keys. HyperKV ver. "+engine.Version+"\n")
}

const (
	lolwutShardsMax  = 64
	lolwutShardWidth = 22 // dots
	lolwutWidth      = 132
	lolwutRowHeight  = 28
)

// canvas is a drawing in dots, eight to a character of the Braille block.
type canvas struct {
	width, height int // in dots
	cells         []byte
}

func newCanvas(width, height int) *canvas {
	return &canvas{width, height, make([]byte, (width+1)/2*((height+3)/4))}
}

// brailleDots is the bit of each dot of a character, by row and column.
var brailleDots = [4][2]byte{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

func (c *canvas) dot(x, y int) {
	if x < 0 || y < 0 || x >= c.width || y >= c.height {
		return
	}
	c.cells[y/4*((c.width+1)/2)+x/2] |= brailleDots[y%4][x%2]
}

func (c *canvas) line(x0, y0, x1, y1 float64) {
	steps := int(math.Max(math.Abs(x1-x0), math.Abs(y1-y0))) + 1
	for i := range steps + 1 {
		f := float64(i) / float64(steps)
		c.dot(int(math.Round(x0+(x1-x0)*f)), int(math.Round(y0+(y1-y0)*f)))
	}
}

func (c *canvas) String() string {
	var b strings.Builder
	for i, bits := range c.cells {
		b.WriteRune(0x2800 + rune(bits))
		if (i+1)%((c.width+1)/2) == 0 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// drawShards draws splinters of glass: each a thin quadrilateral with a ridge,
// turned as chance wants, the more the further down it lies.
func drawShards(n int, random *rand.Rand) string {
	perRow := lolwutWidth / lolwutShardWidth
	rows := (n + perRow - 1) / perRow
	c := newCanvas(min(n, perRow)*lolwutShardWidth, rows*lolwutRowHeight)
	for i := range n {
		x := float64(i%perRow*lolwutShardWidth) + lolwutShardWidth/2
		y := float64(i/perRow*lolwutRowHeight) + lolwutRowHeight/2
		turn := (random.Float64() - 0.5) * math.Pi * float64(i/perRow+1) / float64(rows+1)
		length, width := 9+4*random.Float64(), 3+3*random.Float64()
		at := func(dx, dy float64) (float64, float64) {
			sin, cos := math.Sincos(turn)
			return x + dx*cos - dy*sin, y + dx*sin + dy*cos
		}
		waist := (random.Float64() - 0.5) * length
		corners := [][2]float64{{0, -length}, {width, waist}, {0, length}, {-width, waist / 2}}
		for j, from := range corners {
			to := corners[(j+1)%len(corners)]
			x0, y0 := at(from[0], from[1])
			x1, y1 := at(to[0], to[1])
			c.line(x0, y0, x1, y1)
		}
		x0, y0 := at(0, -length)
		x1, y1 := at((random.Float64()-0.5)*width, length*0.6)
		c.line(x0, y0, x1, y1)
	}
	return c.String()
}
