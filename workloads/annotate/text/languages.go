package text

import (
	"strings"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// languages are those told apart by function words: the commonest of each, as
// Tokenise divides them.
var languages = [...]struct{ code, words string }{
	{"en", `the of and to in a is that for it was on with as be at by this had not are but from or have an they which you were
		her all she there would their we him been has when who will no more if out so said what up its about into than them
		can only other do n't 's i my me your he his how why where these those did does just like get got our us now then
		because after before being both each such own very am 'm 're 've 'll ca wo should could went going don over under against
		off down still while since until even many new says`},
	{"de", `der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie
		nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis mehr durch man
		sein wurde sei ich wir ihr uns mich dich du kann wenn was hier schon sehr doch diese dieser dieses keine wir habe`},
	{"fr", `de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont la les avec son mais
		comme ou si leur y dont été elle aux nous vous cette ces ont je tu ils être fait même sans tout très bien peut où on
		donc alors aussi quand c'est n'est d'un d'une qu'il j'ai l'on notre votre`},
	{"es", `de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si sin sobre este
		ya entre cuando todo esta ser son dos también fue había era muy años hasta desde está mi porque qué sólo han yo hay
		vez puede todos así nos ni parte tiene él uno donde bien tiempo mismo ese ahora cada`},
	{"pt", `de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou ser
		quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos ter seus quem nas me
		esse eles estão você tinha foram essa num nem suas meu às minha têm`},
	{"it", `di e il la che in a per un è del non sono una le con si da dei come i al ma nel alla più della lo o anche delle se gli
		ha su dal dalla mi ne questo ci loro suo quando sua era essere stato nella io tutto cosa molto perché fatto chi ho
		hanno solo degli così prima dopo questa sul tra fra`},
	{"nl", `de van het een en in is dat op te zijn met voor niet die aan er om dan ook als maar bij uit nog door ze naar heeft tot
		wordt of hij was je over wel kan zo wat hebben zich deze al geen ik worden werd dit haar mijn wij ons jij meer
		moet toen kunnen waar zou`},
	{"sv", `och i att det som en på är av för med den till inte har de om ett han men var jag sig från vi så kan när år under också
		efter eller nu sin där vid mot ska skulle kommer ut får finns vara hade alla andra mycket än här då sedan över bara
		blir upp även vad få två`},
	{"da", `og i at det er en til på som af for med den de ikke har der et han var om jeg sig fra vi så kan når efter eller nu men
		ud hun skal ville være havde blev meget man også kun op være hvad hvor dem denne over mod min mig efter ned noget
		år anden`},
	{"no", `og i det er på som en til av for med den de ikke har et han var om jeg seg fra vi så kan når etter eller nå men ut hun
		skal ville være hadde ble mye man også bare opp hva hvor dem denne over mot min meg ned noe år blir sier fikk
		mer andre`},
	{"fi", `ja on ei se että oli hän joka ovat mutta kun niin myös kuin mukaan ole tai voi sen vuoden mitä jos olla vain nyt joka
		jo hänen tämä kanssa siitä sekä olen minä sinä me te he ne ollut olisi sitä kaikki vielä ennen jälkeen`},
	{"pl", `w i na z że się do nie to jest o jak od po za dla co a przez ale oraz jego ich ma tym tego był by są już czy była tylko
		było może które który która bardzo ze jej jeszcze więc kiedy gdy tak mnie pod przy te`},
	{"cs", `a v se na je že to s z do o i pro ve si jako jsou ale za by k po jeho od jen které který která být nebo také až při
		bylo byl byla podle jsem není co ještě již však tak už jak když ze má`},
	{"ro", `de și în a la cu că pe nu din o un este care mai se pentru sau au fost ca dar al ce prin după fi sunt lui ale fără am
		sa acest această când dacă foarte numai toate noi voi eu el ea`},
	{"hu", `a az és hogy nem is egy van volt meg de ez csak már mint el még ha azt amely ki vagy ezt lesz aki mert minden akkor
		kell igen pedig azonban majd olyan én te ő mi ti ők nagyon`},
	{"tr", `ve bir bu da de için ile çok daha olarak gibi olan ne kadar sonra ama var en her o ben sen biz siz mi mı ya değil ki
		şey diye olduğu iki yok ise göre kendi bunu onu nasıl`},
	{"id", `yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena tersebut bisa ada mereka lebih kata
		oleh telah sudah atau dia seperti kami kita bahwa orang sebagai`},
	{"vi", `và của là có không được cho trong một với các những này đã để người khi từ đến cũng như về ra tôi bị vào nhiều sẽ
		phải nhưng còn sau trên theo anh`},
	{"ru", `и в не на что с я а он как это по но из у за к же так от то все мы его бы о для был вы они было до или ее мне если уже
		когда есть ни только быть еще была при него нет этого чтобы`},
	{"uk", `і в не на що з я а він як це по але із у за до же так від то все ми його би про для був ви вони було або її мені
		якщо вже коли є ні тільки бути ще була та й також цього щоб`},
	{"bg", `и в не на че с аз а той като това по но от у за към до така то се да ще ние са му те е беше или си ако вече когато
		има само при няма този тази`},
}

const languageCount = len(languages)

// alsoEnglish are function words of other languages that are words of English, too: one
// of them alone says little.
var alsoEnglish = hashes(`de la van die met door dan man men war son plus per come al care ben over under in an am on me`)

// wordSets finds the languages that a function word is of, by its hash.
type wordSets [8192]struct{ word, set uint32 }

var functionWords = func() *wordSets {
	w := &wordSets{}
	for l := range languages {
		for _, form := range strings.Fields(languages[l].words) {
			w.add(document.HashString(form), uint32(1)<<l)
		}
	}
	return w
}()

func (w *wordSets) at(h uint32) uint32 {
	i := h * 0x9e3779b1 >> 19
	for w[i].word != 0 && w[i].word != h {
		i = (i + 1) % uint32(len(w))
	}
	return i
}

func (w *wordSets) add(h, set uint32) {
	i := w.at(h)
	w[i].word = h
	w[i].set |= set
}

func (w *wordSets) languages(h uint32) uint32 { return w[w.at(h)].set }
