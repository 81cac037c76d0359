package object

import (
	"fmt"
	"testing"
)

// BenchmarkInsert adds members to large collections, in bursts whose members were
// brought near or not.
func BenchmarkInsert(b *testing.B) {
	const total = 1_000_000
	names := make([][]byte, total)
	for i := range names {
		names[i] = fmt.Appendf(nil, "field:%010d", i)
	}
	value := []byte("the value of a field, 32 bytes..")
	for _, kind := range []string{"hash", "set", "zset"} {
		for _, near := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/near=%v", kind, near), func(b *testing.B) {
				var h *memberHome
				for i := range b.N {
					if i%total == 0 {
						h = &memberHome{}
						switch kind {
						case "hash":
							h.encoding, h.root = EmptyHash(&DefaultLimits)
						case "set":
							h.encoding, h.root = EmptySet(&DefaultLimits, ElementOf([]byte("x")))
						default:
							h.encoding, h.root = EmptyZSet(&DefaultLimits)
						}
						h.root = append([]byte(nil), h.root...)
					}
					if near && i%16 == 0 {
						kinds := map[string]Type{"hash": Hash, "set": Set, "zset": ZSet}
						if root, ok := PathIn(kinds[kind], h.encoding, h.root, h.Nodes()); ok {
							var paths [16]Path
							for j := range paths {
								paths[j] = root.To(names[(i+j)%total])
							}
							for depth := paths[0].Depth(); ; depth-- {
								for j := range paths {
									paths[j].Touch()
								}
								if depth == 0 {
									break
								}
								for j := range paths {
									paths[j].Step()
								}
							}
						}
					}
					name := names[i%total]
					switch kind {
					case "hash":
						v := HashOf(h, &DefaultLimits, 1)
						v.Set(name, value, 0)
					case "set":
						v := SetOf(h, &DefaultLimits, 1)
						v.Add(name)
					default:
						v := ZSetOf(h, &DefaultLimits)
						v.Add(name, float64(i%total))
					}
				}
			})
		}
	}
}
