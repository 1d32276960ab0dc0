package text

import "testing"

func TestIdentify(t *testing.T) {
	for _, c := range []struct{ code, text string }{
		{"en", "The quick brown fox jumps over the lazy dog and then it goes home."},
		{"en", "Google buys YouTube"},
		{"en", "I can't believe it's not butter!"},
		{"en", "Oil prices jump over supply fears"},
		{"en", "Man charged with theft"},
		{"en", "Minister met Acme chief"},
		{"en", "Van Gogh painting sold"},
		{"en", "Door prize winners announced"},
		{"en", "Central bank holds rates over inflation fears"},
		{"en", "Miners die near Oslo"},
		{"en", "Great game tonight 😀😀"},
		{"en", "Maria Lopez in Paris 🇫🇷 ❤️"},
		{"en", "“Oil prices jump” – Acme’s chief"},
		{"und", "Zo\u0308e Ve\u0301nus Ame\u0301lie"},
		{"und", "Zoë Vénus Amélie"},
		{"nl", "Premier praat met Kamer over begroting"},
		{"nl", "Brand verwoest huis, niemand gewond bij het ongeval"},
		{"de", "Regierung plant neues Gesetz und mehr Geld"},
		{"de", "Der schnelle braune Fuchs springt über den faulen Hund und geht dann nach Hause."},
		{"fr", "Le président a déclaré que les élections auront lieu dans les prochains mois."},
		{"es", "El presidente dijo que las elecciones se celebrarán en los próximos meses."},
		{"pt", "O presidente disse que as eleições não serão realizadas nos próximos meses."},
		{"it", "Il presidente ha detto che le elezioni si terranno nei prossimi mesi."},
		{"nl", "De president zei dat de verkiezingen in de komende maanden zullen worden gehouden."},
		{"sv", "Presidenten sade att valet kommer att hållas under de närmaste månaderna och inte senare."},
		{"fi", "Presidentti sanoi, että vaalit on pidettävä ja se ei ole mahdollista ennen vuoden loppua."},
		{"pl", "Prezydent powiedział, że wybory odbędą się w najbliższych miesiącach, ale nie wiadomo kiedy."},
		{"tr", "Bu bir deneme metnidir ve çok önemli olan şey onun için daha iyi bir sonuç."},
		{"id", "Presiden mengatakan bahwa pemilihan akan dilakukan dalam beberapa bulan ini dan tidak ditunda."},
		{"vi", "Tổng thống nói rằng cuộc bầu cử sẽ được tổ chức trong những tháng tới và không bị hoãn."},
		{"ru", "Президент сказал, что выборы состоятся в ближайшие месяцы, но не уточнил когда."},
		{"uk", "Президент сказав, що вибори відбудуться найближчими місяцями, але не уточнив коли."},
		{"ru", "Москва — столица России. В ней живёт более двенадцати миллионов человек."},
		{"ru", "Цены выросли, эксперты удивлены"},
		{"uk", "Ціни зросли, експерти здивовані"},
		{"und", "Цени расту, стручњаци изненађени"},  // Serbian
		{"und", "Қымбатшылық өсті"},                  // Kazakh
		{"und", "Кошты выраслі, эксперты здзіўлены"}, // Belarusian
		{"el", "Ο πρόεδρος είπε ότι οι εκλογές θα γίνουν."},
		{"ja", "大統領は選挙が行われると述べた。"},
		{"zh", "总统说选举将在未来几个月内举行。"},
		{"ko", "대통령은 선거가 치러질 것이라고 말했다."},
		{"ar", "قال الرئيس إن الانتخابات ستجرى في الأشهر المقبلة."},
		{"he", "הנשיא אמר שהבחירות יתקיימו בחודשים הקרובים."},
		{"hi", "राष्ट्रपति ने कहा कि चुनाव होंगे।"},
		{"th", "ประธานาธิบดีกล่าวว่าการเลือกตั้งจะจัดขึ้น"},
		{"und", ""},
		{"und", "12345 !!! 67"},
		{"und", "qwzx pfgh tklm vbnx zzrt qqpl mnbv cxzl kjhg fdsp oiuy trew lkjf"},
	} {
		d := plainDocument(c.text)
		Identify(d)
		if d.Language.Code != c.code {
			t.Errorf("%q is %q with %.2f, want %s", c.text, d.Language.Code, d.Language.Confidence, c.code)
		}
		if d.Language.Confidence < 0 || d.Language.Confidence > 1 {
			t.Errorf("confidence %v", d.Language.Confidence)
		}
	}
}
