import time,numpy as np,torch
torch.set_num_threads(1)
from lib.phantoms.geometry import *; from lib.phantoms.plate import *; from lib.phantoms.texture import *; from lib.phantoms.xray import *; from lib.phantoms.body import *
def T(n,f,k=5):
    f(); t=time.process_time()
    for _ in range(k): f()
    print(n,round((time.process_time()-t)/k*1e3,1),'ms')
rng=np.random.default_rng(0); fr=Frame(512,512,.5)
T('tile',lambda: trabecular_tile(rng,.5))
c=np.array([(20*np.cos(a),30*np.sin(a)) for a in np.linspace(0,6.28,20,endpoint=False)])
T('table160',lambda: Plate(c,10,5)._table)
T('table80',lambda: Plate(closed_spline(c,4),10,5,smooth=False)._table)
p=Plate(c,10,5); w=fr.window(p.bounds()); p._table
T('section',lambda: p.section(w.x,w.y))
T('soft',lambda: soft_tissue(fr,[Limb((0,-100),(0,100),(40,50),(40,50))]*5))
paths={'bone':torch.rand(512,512)*20,'fat':torch.rand(512,512)*20,'soft':torch.rand(512,512)*100}
T('expose',lambda: expose(paths,.5,Exposure(kvp=85,scatter=.2),rng))
s=expose(paths,.5,Exposure(kvp=85),rng)
T('develop',lambda: develop(s,.5,Look()))
T('field',lambda: smooth_field(rng,512,512,24))
