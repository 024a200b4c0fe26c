#!/bin/sh
# Pages about models: well formed, self-contained, with what the receipt says.
. tests/cli/common.sh
need_fixture
t=$scratch/t.ingot
page=$scratch/page.html

expect 0 "$INGOT" convert "$fixture" -o "$t" -q --encode int4 --fast
expect 0 "$INGOT" report "$t" -o "$page"
well_formed "$page"
for text in '30</b>re-encoded' 'int4-g32' 'Error by layer' 'Error against bits' \
    'Values of the worst tensors' 'model.layers.0.mlp.down_proj.weight' '&quot;encode&quot;: &quot;int4&quot;'; do
    grep -qF "$text" "$page" || fail "the page lacks $text"
done
# 28 matrices are in layers, 30 were measured.
[ "$(grep -c '<polyline' "$page")" -eq 6 ] || fail 'the dots of 6 kinds are not joined'
[ "$(grep -c '<circle.*<title>' "$page")" -eq 58 ] || fail 'the charts have other dots than 28 and 30'
expect 1 "$INGOT" report "$t" -o "$page"
says 'exists already'
expect 0 "$INGOT" report "$t" -o -
cmp -s "$out" "$page" || fail 'standard output has another page'

# A model without a receipt, one without tensors, and names that are no HTML.
expect 0 "$INGOT" report "$fixture" -o "$page" -f
well_formed "$page"
grep -q 'no receipt' "$page" || fail 'a model without receipt is not told'
make_safetensors "$scratch/odd.safetensors" \
    '{"a<b>&\"c\u0001":{"dtype":"F32","shape":[16,16],"data_offsets":[0,1024]}}' 1024
expect 0 "$INGOT" convert "$scratch/odd.safetensors" -o "$t" -q -f --encode int4
expect 0 "$INGOT" report "$t" -o "$page" -f
well_formed "$page"
grep -qF 'a&lt;b&gt;&amp;&quot;c?' "$page" || fail 'the name is not escaped'
make_safetensors "$scratch/empty.safetensors" '{}' 0
expect 0 "$INGOT" report "$scratch/empty.safetensors" -o "$page" -f
well_formed "$page"
expect 3 "$INGOT" report "$scratch/absent" -o "$page" -f
finish
