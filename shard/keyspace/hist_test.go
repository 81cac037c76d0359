package keyspace
import ("testing";"time";"fmt";"math/bits";"runtime/debug")
func TestHist(t *testing.T){
 debug.SetGCPercent(-1)
 for range 2 {
 d:=New(); var buf [16]byte; var h [40]int
 var worst, split [40]int
 for i:=range 1<<20 { key:=benchKey(&buf,uint64(i)); hash:=Hash(key)
  segs:=d.index.segments
  t0:=time.Now(); d.PutBytes(hash,key,benchValue,0,0); dt:=time.Since(t0)
  h[bits.Len64(uint64(dt))]++
  if d.index.segments!=segs { split[bits.Len64(uint64(dt))]++ } else {worst[bits.Len64(uint64(dt))]++}
 }
 for b,n:=range h { if n>0 { fmt.Printf("<%8.1fµs %8d split %6d\n", float64(uint64(1)<<b)/1000, n, split[b]) } }
 d.Close()
 }
 var h [40]int
 for range 1<<20 { t0:=time.Now(); for j:=range 20 { sinkInt+=j }; h[bits.Len64(uint64(time.Since(t0)))]++ }
 for b,n:=range h { if n>0 { fmt.Printf("idle <%8.1fµs %8d\n", float64(uint64(1)<<b)/1000, n) } }
}
