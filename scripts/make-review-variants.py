#!/usr/bin/env python3
"""Makes testdata/review-variants: small result files in unusual layouts and encodings, with which somebody tried to get data
of invented people past the checks (`unsafe`), and statistics over many that must not stop (`safe`).

  venv/bin/pip install pandas scipy msgpack cbor2 zstandard fastavro pyarrow
  venv/bin/python scripts/make-review-variants.py testdata/review-variants
"""

import base64
import csv
import gzip
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import zipfile
import zlib

import cbor2
import fastavro
import msgpack
import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.io
import zstandard

OUT = sys.argv[1]
shutil.rmtree(OUT, ignore_errors=True)
TABLE = []
R = np.random.default_rng(7)


def put(kind, name, what, data):
    files = data if isinstance(data, dict) else {name: data}
    for path, content in files.items():
        path = f"{OUT}/{len(TABLE) + 1:03}/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    TABLE.append({"sample": f"{len(TABLE) + 1:03}/{name}", "what": what, "kind": kind})


def safe(*sample):
    put("safe", *sample)


def unsafe(*sample):
    put("unsafe", *sample)


S, U, J = safe, unsafe, json.dumps
N=40
age=R.integers(18,97,N); sex=R.choice(list("fm"),N); dx=R.choice(["I21.0","E11.9","C50.1","J45.0"],N); bmi=np.round(R.normal(26,4,N),1)
df=pd.DataFrame({"age":age,"sex":sex,"diagnosis":dx,"bmi":bmi})
rows=lambda n,sep=",":"\n".join(sep.join(map(str,r)) for r in df.head(n).values)+"\n"
# --- unsafe: short / odd layouts
U("one.json","one patient as an object",J({"age":34,"sex":"f","diagnosis":"I21.0"}))
U("one.txt","one patient as names and values","age: 34\nsex: f\ndiagnosis: I21.0\n")
U("one.yaml","one patient yaml nested","case:\n  age: 34\n  sex: f\n  diagnosis: I21.0\n")
U("one.ini","one patient ini","[record]\nage=34\nsex=f\ndiagnosis=I21.0\n")
U("one.csv","one patient, transposed","age,34\nsex,f\ndiagnosis,I21.0\n")
U("ages.json","five ages",J([34,56,71,45,82]))
U("ages2.json","five ages named",J({"ages":[34,56,71,45,82]}))
U("bmi9.json","nine values",J({"bmi":[float(x) for x in bmi[:9]]}))
U("cols.json","nine patients by columns",J({c:df[c].head(9).tolist() for c in ("age","bmi","diagnosis")}))
U("matrix.json","nine patients as rows",J([[int(a),int(s=="f"),float(b)] for a,s,b in zip(age[:9],sex,bmi)]))
U("objs.json","nine patients as objects in an object",J({str(i):{"age":int(age[i]),"sex":sex[i]} for i in range(9)}))
U("recs.json","four patients in a list",J([{"age":int(age[i]),"sex":sex[i]} for i in range(4)]))
U("line.txt","ages on one line",",".join(map(str,age))+"\n")
U("line2.txt","ages on one line, blanks"," ".join(map(str,age))+"\n")
U("line3.csv","ages on one line as csv",",".join(map(str,age))+"\n")
U("arr.txt","repr of numpy",repr(age[:20]))
U("arr2.txt","print of numpy",str(bmi[:20]))
U("list.txt","python repr of tuples",repr([tuple(x) for x in df.head(5).values.tolist()]))
U("dicts.txt","python repr of dicts",repr(df.head(3).to_dict("records")))
U("two.txt","two rows, blanks",rows(2," "))
U("one_row.txt","one row, blanks",rows(1," "))
U("one_row.csv","one row, no head",rows(1,","))
for n,s in (("caret","^"),("tilde","~"),("colon",":"),("bang","!"),("slash","/"),("amp"," & "),("hash","#"),("dbl","||"),("us","\x1f")):
    U(f"{n}.txt",f"six rows by {s!r}",rows(6,s))
U("caret2.txt","three rows by ^",rows(3,"^"))
U("yaml5.yaml","five patients yaml","".join(f"- age: {a}\n  sex: {s}\n  dx: {d}\n" for a,s,d in zip(age[:5],sex,dx)))
U("flow.yaml","patients yaml flow","".join(f"- {{age: {a}, sex: {s}}}\n" for a,s in zip(age[:5],sex)))
U("toml.toml","patients toml","".join(f"[[p]]\nage = {a}\nsex = \"{s}\"\n" for a,s in zip(age[:5],sex)))
U("wide.csv","wide, one row",",".join(f"age_{i}" for i in range(N))+"\n"+",".join(map(str,age))+"\n")
U("transposed.csv","transposed",df.head(12).T.to_csv(header=False))
U("melt.csv","long form",df[["age","bmi"]].head(6).reset_index().melt(id_vars="index").to_csv(index=False))
U("fixed.txt","fixed width without blanks","".join(f"{a:03}{s}{d:<6}{int(b*10):04}\n" for a,s,d,b in zip(age,sex,dx,bmi)))
U("fixed6.txt","fixed width without blanks, six","".join(f"{a:03}{s}{d:<6}{int(b*10):04}\n" for a,s,d,b in zip(age[:6],sex,dx,bmi)))
U("preamble.csv","a preamble before rows","# export of cohort\n# 2026\n\n"+df.head(8).to_csv(index=False))
U("sep.csv","sep= line","sep=;\n"+df.head(8).to_csv(index=False,sep=";",decimal=","))
U("quoted.csv","all quoted",df.head(8).to_csv(index=False,quoting=csv.QUOTE_ALL))
U("cr.csv","CR line ends",df.head(8).to_csv(index=False,lineterminator="\r"))
U("utf16be.csv","utf-16 be no bom",df.to_csv(index=False).encode("utf-16-be"))
U("utf32.csv","utf-32",df.to_csv(index=False).encode("utf-32"))
U("utf7.txt","utf-7",df.head(8).to_csv(index=False,sep="§").encode("utf-7"))
U("ebcdic.txt","ebcdic",df.to_csv(index=False).encode("cp500"))
U("cp1252.csv","cp1252 rows",("Größe;Geschlecht;Bemerkung\n"+"".join(f"{a};{s};“x–y”\n" for a,s in zip(age,sex))).encode("cp1252"))
U("arff.txt","ARFF","@relation p\n@attribute age numeric\n@attribute sex {f,m}\n@data\n"+"".join(f"{a},{s}\n" for a,s in zip(age[:6],sex)))
U("libsvm.txt","libsvm rows","".join(f"{int(s=='f')} 1:{a} 2:{b}\n" for a,b,s in zip(age[:8],bmi,sex)))
U("model.txt","libsvm model with support vectors","svm_type c_svc\nkernel_type rbf\ngamma 0.5\nnr_class 2\ntotal_sv 6\nrho 0.1\nlabel 0 1\nnr_sv 3 3\nSV\n"+"".join(f"{np.round(R.normal(),4)} 1:{a} 2:{b} \n" for a,b in zip(age[:6],bmi)))
U("dump.sql","SQL inserts","".join(f"INSERT INTO p VALUES ({a},'{s}','{d}');\n" for a,s,d in zip(age[:6],sex,dx)))
U("t.ttl","turtle","".join(f"ex:p{i} ex:age {a} ; ex:sex \"{s}\" .\n" for i,(a,s) in enumerate(zip(age[:4],sex))))
U("data.js","javascript","var data = "+J([[int(a),float(b)] for a,b in zip(age[:8],bmi)])+";\n")
U("lisp.txt","s-expressions","("+" ".join(f"({a} {s})" for a,s in zip(age[:8],sex))+")\n")
U("card.vcf.txt","vcard","BEGIN:VCARD\nVERSION:3.0\nFN:Anna Meier\nTEL:+49 7071 123456\nEND:VCARD\n")
U("geo.json","places of patients",J({"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[9.05+i/100,48.52]},"properties":{}} for i in range(5)]}))
U("img.pgm","ascii picture P2","P2\n8 4\n255\n"+"\n".join(" ".join(str(x) for x in R.integers(0,255,8)) for _ in range(4))+"\n")
U("points.eps","postscript scatter","%!PS-Adobe-3.0 EPSF-3.0\n"+"".join(f"{a} {b} moveto 2 0 360 arc fill\n" for a,b in zip(age,bmi)))
U("points.tex","tikz","\\begin{tikzpicture}\n\\addplot coordinates {"+" ".join(f"({a},{b})" for a,b in zip(age,bmi))+"};\n\\end{tikzpicture}\n")
U("nested.json","JSON in a string",J({"data":J([[int(a),int(s=='f')] for a,s in zip(age[:12],sex)])}))
U("csvstr.json","CSV in a string, semicolons as rows",J({"data":";".join(f"{a},{s}" for a,s in zip(age[:12],sex))}))
U("csvcr.json","CSV in a string, CR",J({"data":"age,sex\r"+"\r".join(f"{a},{s}" for a,s in zip(age[:6],sex))}))
U("jsoncell.csv","JSON in a cell",pd.DataFrame({"metric":["auc","acc"],"value":[0.9,J({"ages":age[:20].tolist()})]}).to_csv(index=False))
U("metrics.json","rows below metrics",J({"metrics":[{"age":int(a),"sex":s,"bmi":float(b)} for a,s,b in zip(age,sex,bmi)]}))
U("stats.json","ages below statistic",J({"statistics":{"age":age.tolist()}}))
U("prob.csv","a probability a person","index,probability\n"+"".join(f"{i},{x:.4f}\n" for i,x in enumerate(R.random(30))))
U("pred.json","a probability a person",J({"prob":[round(x,4) for x in R.random(30)]}))
U("err.json","an error a person",J({"error":[round(x,4) for x in R.normal(size=300)]}))
U("leaf.txt","lightgbm model leaf counts","tree\nversion=v4\nnum_class=1\nTree=0\nnum_leaves=3\nleaf_value=0.1 -0.2 0.3\nleaf_count=2 1 3\n")
# --- encodings
U("b64.json","short base64 of a person",J({"note":base64.b64encode(b"Anna Meier, 1961-04-17, I21.0").decode()}))
U("b64.txt","short base64 of rows",base64.b64encode(b"34,f,I21.0;56,m,E11.9").decode()+"\n")
U("b64url.json","base64url without padding",J({"id":base64.urlsafe_b64encode("Müller Anna 17.4.1961???".encode()).decode().rstrip("=")}))
U("b64cells.csv","base64 cells beside a mean","group,mean\n"+"".join(f"{base64.b64encode(f'{a},{s},{d},x'.encode()).decode()},{b}\n" for a,s,d,b in zip(age[:4],sex,dx,bmi)))
U("hex.json","short hex of a person",J({"tag":b"Anna Meier 1961-04-17".hex()}))
U("b32.json","base32",J({"tag":base64.b32encode(b"Anna Meier 1961-04-17 I21.0").decode()}))
U("pct.txt","percent-encoded","%41%6e%6e%61%20%4d%65%69%65%72%20%31%39%36%31%2d%30%34%2d%31%37\n")
U("uni.txt","unicode escapes","\\u0041\\u006e\\u006e\\u0061 \\u0031\\u0039\\u0036\\u0031\n")
U("ent.md","entities","&#65;&#110;&#110;&#97; &#49;&#57;&#54;&#49;&#45;&#48;&#52;&#45;&#49;&#55;\n")
U("bin.txt","bits","01000001 01101110 01101110 01100001\n")
U("gzb64.json","gzip in base64, short",J({"w":base64.b64encode(gzip.compress(b"34,f,I21.0\n")).decode()}))
U("b64lines.txt","base64 in lines of 36","\n".join(base64.b64encode(df.to_csv().encode()).decode()[i:i+36] for i in range(0,900,36)))
U("b64four.txt","base64 in four lines","\n".join(base64.b64encode(b"34,f,I21.0;56,m,E11.9;71,f,C50.1;45,m").decode()[i:i+20] for i in range(0,60,20)))
U("datauri.txt","data URI text/csv","see data:text/csv,age%2Csex%0A34%2Cf%0A56%2Cm\n")
U("datauri64.md","data URI base64","![](data:text/csv;base64,"+base64.b64encode(b"age,sex\n34,f\n56,m\n").decode()+")\n")
U("ints.json","text as code points",J({"bias":[ord(c) for c in "Anna Meier 1961-04-17"]}))
U("coef.json","text as code points under coef",J({"coef":[float(ord(c)) for c in "Anna Meier 1961-04-17, I21.0"]}))
U("trail.csv","blanks at the end of lines","group,mean\n"+"".join(f"g{i},{40+i}.5{''.join(' ' if b=='0' else chr(9) for b in format(ord(c),'08b'))}\n" for i,c in enumerate("Anna")))
U("esc.txt","hidden by terminal escapes","mean: 44.2\x1b[8m Anna Meier I21\x1b[0m\n")
U("zw.txt","word joiners","mean: 44.2\u2060\u200b\u2060\n")
U("feff.txt","FEFF inside","mean: 44.2\ufeff\ufeff\u034f\ufeff\n")
U("pua.txt","private use","mean: 44.2 \ue041\ue06e\ue06e\n")
U("fw.txt","full-width digits","３ patients had an event, ４ women\n")
# --- small counts
U("words.txt","counts in words","Three patients had an adverse event; two women died.\n")
U("words_de.txt","German","Drei Patienten hatten ein Ereignis.\n")
U("words1.txt","one patient","Only one patient was excluded.\n")
U("single.txt","a single patient","A single patient withdrew.\n")
U("none.txt","none of","None of the 14 patients with HIV survived.\n")
U("all.txt","all of","All 4 of them were treated; 3 of the 12 died.\n")
U("nof.txt","k of n","7 of 15 responded\n")
U("kn.txt","k out of n","events: 2 out of 31\n")
U("strcount.json","count as text",J({"n":"3","mean":44.2}))
U("strcount2.json","count with percent",J({"female":"3 (0.7%)","male":"412 (99.3%)"}))
U("table1.csv","table one","variable,overall\nn,412\nfemale,3 (0.7%)\nsmoker,120 (29.1%)\n")
U("table1b.csv","table one, groups in heads","variable,\"case (N=4)\",\"control (N=408)\"\nage mean (SD),44.2 (3.1),46.1 (9.9)\n")
U("headn.csv","n in heads","statistic,women (n=3),men (n=120)\nmean,44.2,45.1\nsd,3.1,9.2\n")
U("keyn.json","n in keys",J({"women (n=3)":{"mean":44.2,"sd":3.1}}))
U("women.json","small counts beside a mean",J({"mean_age":44.2,"women":3,"men":612}))
U("hiv.json","prevalence that tells three",J({"n":812,"prevalence_hiv":0.0036945812807881772}))
U("pct.csv","percent that tells two","group,n,percent\nA,120,1.6666667\nB,130,45.5\n")
U("pct.txt","percent in text","Of 812 patients 0.37% were HIV positive.\n")
U("supp.csv","one suppressed cell beside the total","group,n\nA,120\nB,<10\nC,230\ntotal,355\n")
U("supp.json","suppressed and total",J({"A":120,"B":"<10","C":230,"total":355}))
U("sum.csv","sums of a flag","group,mean,sum\nA,0.025,3\nB,0.4,52\n")
U("sum.json","sum",J({"sum":3,"mean":0.0273}))
U("tex.tex","latex counts","Women & 3 & 0.7 \\\\\n")
U("dash.txt","list of counts","- women 3\n- men 412\n")
U("nb.csv","other language","groupe,effectif,moyenne\nA,3,44.2\nB,120,45.1\n")
U("nohead.csv","counts no head","A,3,44.2\nB,120,45.1\n")
U("float.csv","count as 3.0","group,n\nA,3.0\nB,120.0\n")
U("sci.csv","count as 3e0","group,n\nA,3e0\nB,1.2e2\n")
U("thou.txt","n = with dot","Cohort: N=4; mean 44.2 (SD 3.1)\n")
U("nfew.md","n in markdown","**N**: 4, **mean**: 44.2\n")
U("rng.txt","range","Age range 18-97, median 45\n")
U("rng.csv","range","variable,median,range\nage,45,18-97\nbmi,25,17.1-48.9\n")
U("rng.json","range",J({"age":{"median":45,"range":[18,97]}}))
U("ext_de.json","extremes in German",J({"alter":{"jüngste":18,"älteste":97}}))
U("ext.json","p99.9",J({"p99.9":97.3,"mean":45}))
U("out.json","outliers",J({"mean":45.1,"outliers":[97,101]}))
U("fliers.json","boxplot",J({"med":45.1,"q1":30.2,"q3":60.1,"whislo":18.0,"whishi":97.0,"fliers":[101.0]}))
U("earliest.json","first and last date",J({"first_admission":"2019-03-04","last_admission":"2024-02-11","mean":3.2}))
# --- names
U("name.txt","a name in short text","Anna Meier was admitted with a heart attack.\n")
U("name.json","a name",J({"name":"Anna Meier","score":0.9}))
U("names.json","names",J(["Anna Meier","Bert Schulz","Carla Weber"]))
U("names.txt","names","Anna Meier\nBert Schulz\n")
U("inits.csv","initials and years","id,mean\nA.M. 1961,44.2\nB.S. 1958,43.1\n")
U("born.txt","birth year in words","The patient born in 1961 died.\n")
U("dob8.json","birth as digits",J({"ref":"19610417"}))
U("dob_en.txt","birth in English","April 17, 1961\n")
U("dob_de.txt","birth in German","geb. 17. April 1961\n")
U("dob2.txt","two-digit year","17.04.61\n")
U("phone.txt","phone","+49 7071 2987654\n")
U("iban.txt","iban","DE89 3704 0044 0532 0130 00\n")
U("nhs.json","NHS number",J({"x":"943 476 5919"}))
U("ssn.txt","French NIR","1 61 04 75 116 001 42\n")
U("addr.txt","address","Hauptstr. 12, 72076 Tübingen\n")
U("ip.txt","ip","10.1.2.3 opened the portal\n")
U("pid.txt","id in a sentence","see PAT-0047123 for details\n")
U("pid.json","one id",J({"worst":"PAT-0047123","auc":0.9}))
U("pids.json","three ids",J({"excluded":["PAT-0047123","PAT-0047199","PAT-0048001"],"auc":0.9}))
U("mrn.json","id as number",J({"index_case":4711234,"auc":0.9}))
U("hash.json","digests of ids",J({hashlib.sha256(str(i).encode()).hexdigest():round(float(b),2) for i,b in enumerate(bmi[:4])}))
U("hash.csv","digests of ids, four rows","key,mean\n"+"".join(f"{hashlib.md5(str(i).encode()).hexdigest()},{b}\n" for i,b in enumerate(bmi[:4])))
U("hash1.txt","one digest",hashlib.sha256(b"A123456780").hexdigest()+"\n")
U("geno.txt","a haplotype","rs7412 CT; rs429358 CC\n")
U("seq.txt","a short sequence","ACGTACGTTAGCCATAGGCTTAACGGATCCAGT\n")
U("hgvs.json","rare variants of a person",J({"variants":["BRCA1:c.68_69del","TP53:p.R175H"]}))
U("err.log","traceback with data","Traceback (most recent call last):\n  File \"x.py\", line 3\nValueError: could not convert string to float: 'Meier, Anna'\n")
U("key.log","log of a row","WARNING skipped row (34, 'f', 'I21.0')\n")
# --- file names
U("anna_meier_1961-04-17.txt","data in the name","mean: 44.2\n")
U("patient_4711/mean.json","data in the directory's name",J({"mean":44.2}))
U("anna.meier@klinik.example.de.json","e-mail as name",J({"mean":44.2}))
U("A123456780.json","KVNR as name",J({"mean":44.2}))
U("UEFOLTAwNDcxMjM7MzQ7ZjtJMjEuMA==.txt","base64 as name","mean: 44.2\n")
U("18","thirty empty files named by age",{str(a): "" for a in sorted(set(age.tolist()))})
U("mean0.json","a file a person, twelve",{f"mean{i}.json": J({"mean":float(bmi[i])}) for i in range(12)})
# --- archives
def gz(comment=None,extra=None,fname=None,data=b"group,mean\na,44.2\n"):
    b=bytearray(gzip.compress(data,mtime=0)); flags=0; add=b""
    if extra: flags|=4; add+=len(extra).to_bytes(2,"little")+extra
    if fname: flags|=8; add+=fname+b"\0"
    if comment: flags|=16; add+=comment+b"\0"
    b[3]=flags; return bytes(b[:10])+add+bytes(b[10:])
U("m.csv.gz","gzip comment",gz(comment=b"Anna Meier 1961"))
U("m.csv.gz","gzip extra",gz(extra=b"AM\x10\x0034,f,I21.0;56,m "))
U("m.csv.gz","gzip name",gz(fname=b"anna_meier_1961-04-17.csv"))
def tar(edit,fmt=tarfile.PAX_FORMAT,data=b"group,mean\na,44.2\n"):
    o=io.BytesIO(); t=tarfile.open(fileobj=o,mode="w",format=fmt); i=tarfile.TarInfo("m.csv"); i.size=len(data); edit(i); t.addfile(i,io.BytesIO(data)); t.close(); return o.getvalue()
U("m.tar","pax comment",tar(lambda i:i.pax_headers.update({"comment":"Anna Meier 1961 I21"})))
U("m.tar","pax vendor record",tar(lambda i:i.pax_headers.update({"SCHILY.xattr.user.x":"Anna Meier 1961 I21"})))
U("m.tar","owner",tar(lambda i:setattr(i,"uname","Anna Meier I21")))
U("m.tar","name",tar(lambda i:setattr(i,"name","anna_meier_1961-04-17_I21.csv")))
U("m.tar","mtime",tar(lambda i:setattr(i,"mtime",-275000000)))
b=bytearray(tar(lambda i:None,tarfile.USTAR_FORMAT)); b[512+20:512+40]=b"Anna Meier I21 1961 "; U("m.tar","padding of a block",bytes(b))
b=bytearray(tar(lambda i:None,tarfile.USTAR_FORMAT)); b[500:510]=b"AnnaMeier "; b[148:156]=b"        "; cs=sum(b[:512]); b[148:156]=b"%06o\0 "%cs; U("m.tar","padding of a header",bytes(b))
def zp(f):
    o=io.BytesIO(); z=zipfile.ZipFile(o,"w"); f(z); z.close(); return o.getvalue()
def zextra(z): i=zipfile.ZipInfo("m.csv"); i.extra=b"AM\x10\x0034,f,I21.0;56,m "; z.writestr(i,"group,mean\na,44.2\n")
U("m.zip","zip extra",zp(zextra))
U("m.zip","zip name",zp(lambda z:z.writestr("anna_meier_1961.csv","group,mean\na,44.2\n")))
U("m.zip","zip dir names",zp(lambda z:[z.writestr(f"{a}-f-I21/","") for a in age[:4]]))
U("m.zip","zip comment",zp(lambda z:(z.writestr("m.csv","group,mean\na,44.2\n"),setattr(z,"comment",b"Anna Meier 1961"))))
U("m.zz","zlib of rows",zlib.compress(rows(8).encode()))
U("m.gz","gzip of json one patient",gzip.compress(J({"age":34,"sex":"f","diagnosis":"I21.0"}).encode()))
U("r.msgpack","msgpack",msgpack.packb(df.head(8).to_dict("records")))
U("r.cbor","cbor",cbor2.dumps(df.head(8).to_dict("records")))
o=io.BytesIO(); fastavro.writer(o,{"type":"record","name":"p","fields":[{"name":"age","type":"int"}]},[{"age":int(a)} for a in age]); U("r.avro","avro",o.getvalue())
o=io.BytesIO()
with pa.ipc.new_stream(o,pa.Table.from_pandas(df).schema) as w: w.write_table(pa.Table.from_pandas(df))
U("r.arrows","arrow stream",o.getvalue())
U("r.f32","raw floats",age.astype("f4").tobytes())
U("r.u8","raw ages as bytes, printable",bytes(age.astype("u1")))
U("r.txt","ages as printable bytes",bytes(int(a) for a in age if 32<a<127))
U("r.zst","zstd",zstandard.compress(rows(8).encode()))
mat = io.BytesIO()
scipy.io.savemat(mat, {"age": age})
U("mat.mat","matlab v5",mat.getvalue())
# --- safe
S("ci.csv","odds ratios with intervals a-b","term,or,ci\n"+"".join(f"x{i},{1+i/7:.2f},{0.8+i/7:.2f}-{1.3+i/7:.2f}\n" for i in range(8)))
S("ci2.csv","intervals","variable,estimate,95% CI\n"+"".join(f"{v},{1+i/7:.2f},{0.8+i/7:.2f}–{1.3+i/7:.2f}\n" for i,v in enumerate("age bmi crp ldl hdl rr hr".split())))
S("big.csv","large counts","region,n\n"+"".join(f"region {c},{int(x)}\n" for c,x in zip("ABCDEFG",R.integers(200000,900000,7))))
S("pop.csv","population","region,population\n"+"".join(f"R{c},{int(x)}\n" for c,x in zip("ABCDEFG",R.integers(200000,900000,7))))
S("cost.json","sums of cost",J({"sum_cost":[int(x) for x in R.integers(200000,900000,7)]}))
S("snomed.csv","SNOMED codes and counts","snomed,n\n"+"".join(f"{c},{120+i}\n" for i,c in enumerate([22298006,73211009,38341003,195967001,254837009,13645005])))
S("concept.csv","OMOP concepts","concept_id,count\n"+"".join(f"{c},{120+i}\n" for i,c in enumerate([4329847,201826,320128,317009,4112853,255573])))
S("cui.json","UMLS",J({c:120+i for i,c in enumerate(["C0027051","C0011860","C0020538","C0004096","C0006142"])}))
S("cpg.csv","CpG importances","feature,importance\n"+"".join(f"cg{x:08},{0.1/(i+1):.4f}\n" for i,x in enumerate(R.integers(1,27000000,12))))
S("genes.json","gene coefficients",J({"coef":{g:round(x,3) for g,x in zip(["CYP2D6","CYP3A4","HLA-B27","UGT1A1","CYP2C19","SLC22A1"],R.normal(size=6))}}))
S("uniprot.csv","proteins","protein,beta,p\n"+"".join(f"{p},{R.normal():.3f},{R.random():.3f}\n" for p in ["P04637","P38398","Q9Y243","P00533","P01116","O15111"]))
S("state.json","weights of a net",J({f"layer{i}.{j}.conv{k}.weight":[round(x,3) for x in R.normal(size=3)] for i in (1,2) for j in (0,1) for k in (1,2)}))
S("sites.csv","by site","station,auc\n"+"".join(f"station_{i:02},{0.8+i/100}\n" for i in range(1,9)))
S("ageg.csv","age groups","age_group,n\n"+"".join(f"{a}.0-{a+9}.9,{120+a}\n" for a in range(10,90,10)))
S("years.csv","seasons","season,n\n"+"".join(f"{y}-{y+1},{120+y}\n" for y in range(2012,2020)))
S("log.csv","time of day and loss","time,epoch,loss\n"+"".join(f"10:{i:02}:11,{i},{1/(i+1):.3f}\n" for i in range(1,9)))
S("ts.jsonl","log as json lines","".join(J({"ts":1700000000000+i*917,"loss":round(1/(i+1),3)})+"\n" for i in range(9)))
S("monthly.csv","resampled by month start, 2003","month,n\n"+"".join(f"2003-{m:02}-01,{120+m}\n" for m in range(1,13)))
S("mean.csv","one number as CSV","44.2\n")
S("series.txt","pandas series printed","mean    44.2\nstd      3.1\nName: Glucose, dtype: float64\n")
S("ols.txt","statsmodels summary","""                            OLS Regression Results                            
==============================================================================
Dep. Variable:                    Bmi   R-squared:                       0.317
Model:                            OLS   Adj. R-squared:                  0.310
Method:                 Least Squares   F-statistic:                     46.27
Date:                Thu, 26 Nov 2026   Prob (F-statistic):           5.06e-18
Time:                        10:04:46   Log-Likelihood:                -1200.3
No. Observations:                 412   AIC:                             2407.
Df Residuals:                     408   BIC:                             2423.
==============================================================================
                 coef    std err          t      P>|t|      [0.025      0.975]
------------------------------------------------------------------------------
Intercept     15.2010      0.912     16.668      0.000      13.408      16.994
Age            0.1010      0.012      8.417      0.000       0.077       0.125
==============================================================================
""")
S("cramer.csv","a name that begins as a magic","CRAMER V,0.31\nPHI,0.22\n")
S("orch.csv","another","ORCHIECTOMY,120\nNEPHRECTOMY,340\n")
S("cp1252.csv","Windows-1252 with dash","Gruppe;Mittelwert ± SD;Spanne der Quartile\nMänner;44,2 ± 3,1;40 – 50\nFrauen;45,1 ± 3,3;41 – 51\n".encode("cp1252"))
S("wide.csv","many gene columns","gene,"+",".join(f"Gene{c}{x}" for c,x in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"*4,R.integers(1,99,104)))+"\nmean,"+",".join(f"{x:.2f}" for x in R.normal(5,1,104))+"\n")
S("contact.json","categories",J({"contact":{"email":120,"phone":340,"letter":210}}))
S("pat.txt","headings","Patient Outcomes\nmean survival: 24.2 months\n")
S("summary.json","means",J({"n":812,"mean":44.2,"sd":3.1,"median":43}))
S("conf.json","run facts",J({"started":"2026-11-26T10:00:00Z","version":"1.4.2","epochs":20,"loss":0.31}))
S("km.json","survival by year",J({"survival":{"1":0.93,"2":0.88,"3":0.81}}))
S("grad.json","gradients",J({"gradients":{"w":[[0.1,0.2],[0.3,0.4]],"b":[0.1,0.2]}}))
S("labels.json","confusion",J({"confusion_matrix":[[120,30],[22,310]]}))
S("icd.csv","ICD counts","icd,n\nI21.0,120\nE11.9,340\nC50.1,77\nJ45.0,56\nI10,812\n")
S("ops.csv","procedures","ops,n\n5-511.11,120\n5-820.00,340\n8-854.2,99\n3-200.1,210\n1-632.0,88\n")
S("versions.txt","packages","numpy==2.4.6\npandas==3.1.1\nscikit-learn==1.9.1\nscipy==1.17.1\njoblib==1.6.0\n")
S("ver.json","packages",J({"numpy":"2.4.6","pandas":"3.1.1","scipy":"1.17.1"}))
S("deciles.csv","deciles","decile,mean\n"+"".join(f"{i}0%,{40+i}.5\n" for i in range(1,10)))
S("mi.csv","hsa","mirna,beta\n"+"".join(f"hsa-miR-{x}-5p,{R.normal():.3f}\n" for x in (21,155,146,122,192,200)))
S("m.csv.gz","gzip by gzip(1) with a name",gz(fname=b"m.csv"))
with open(os.path.join(OUT, "table.json"), "w") as out:
    json.dump(TABLE, out, indent=1)
    out.write("\n")
print(len(TABLE), {kind: sum(sample["kind"] == kind for sample in TABLE) for kind in ["safe", "unsafe"]})
