"""A town of small and middling customers: shops, clinics, newsrooms, freelancers, cron jobs; attackers hide among them."""
# ruff: noqa: RUF001

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import orjson

from pipeline.base.errors import SettingsError
from pipeline.lab.evaluate.marginals import QUANTILES, SLOT_MS, TextKind, chars_per_token
from pipeline.lab.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from pipeline.lab.evaluate.marginals import Group, Marginals
    from pipeline.lab.evaluate.split import Split

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Rng = np.random.Generator
    Column = list[object]

T = TypeVar("T")
T0, DAY, HOUR = 1_772_409_600_000, 86_400_000, 3_600_000
POOL, ASIDES = 96, ("task", "reasoning", "passage")
"""Texts that are drawn of a group at most."""


class Work(NamedTuple):
    """One thing that an account does: payload, wordings, hours, length of answers, turns of a conversation, knobs, operation."""

    what: str
    wrap: str
    when: str
    out: str = "mid"
    turns: float = 1.0
    knobs: str = ""
    op: str = "chat"


class Sort(NamedTuple):
    """An honest sort of account: name, trade, works, network, languages, share of users' own wordings."""

    name: str
    trade: str
    works: tuple[Work, ...]
    net: str = "office"
    tongues: int = 1


class Way(NamedTuple):
    """A way of attacking: kind, name, works, networks and hours to choose from (own: the account's), hints."""

    kind: str
    name: str
    works: tuple[Work, ...]
    nets: str = "own own cloud vpn"
    hours: str = "own flat pace office tenant"
    hints: str = ""


def _works(*rows: str) -> tuple[Work, ...]:
    return tuple(
        Work(c[0], c[1], c[2], c[3], float(c[4]), c[5] if len(c) > 5 else "", c[6] if len(c) > 6 else "chat")
        for c in (row.split() for row in rows)
    )


# name | trade | network | languages | works (what wrap when out turns knobs operation), parted by ;
_SORTS = """
web shop | a web shop for shoes | cloud | 1 | record pitch tenant mid 1; people reply shop short 3
clinic | a dental clinic | office | 1 | record reply office mid 1; passage brief office short 1
law office | a law office | office | 1 | docs judge office long 2; people bare office long 4
newsroom | a regional newspaper | office | 1 | docs brief dawn short 1; record pitch office short 1 n4
town hall | the citizens' desk of a town | staff | 1 | people reply office mid 2; passage look office mid 1
game studio | a game studio | cloud | 2 | people bare evening short 6 n4; record pitch office mid 1 hot,n4
translators | a translation bureau | staff | 6 | passage render office long 1; record render jobs mid 1
tutor app | a tutoring app | users | 2 | people why school mid 4; task why evening long 3; reasoning bare evening long 2
recruiter | a recruiting agency | office | 1 | record judge office short 1 lp; record pick jobs short 1
estate portal | a portal for flats and houses | cloud | 2 | record pitch night mid 1; people reply shop short 2
research group | a research group | home | 2 | task bare jobs short 1 lp; reasoning bare jobs long 1 n4; people bare office mid 3
before launch | a start-up | home | 1 | people bare evening mid 5; passage look jobs mid 1 lists; mixed bare office mid 2
at launch | a start-up | cloud | 3 | people reply launch mid 4; passage look launch mid 2
freelancer | several small firms | home | 3 | record pitch office mid 1; code bare evening long 4; passage pairs jobs long 1; \
people bare evening mid 3
integrator | the customers of an integrator | cloud | 4 | record pick tenant short 1; passage look tenant mid 2; \
record sort pace tiny 1; docs brief night mid 1
cron reporter | the controlling department | cloud | 1 | meter brief cron short 1; docs brief cron mid 1
smart home | a household | home | 1 | meter bare cron tiny 1; people bare evening short 2
hobby coder | a hobby project | home | 1 | code bare evening long 5; people bare evening mid 3
coding agents | a software team | ci | 1 | agent bare tenant mid 9 cap; code judge office long 2
support bot | the support of a telephone company | users | 2 | passage look tenant mid 3; people reply shop short 4
help desk | an IT help desk | staff | 1 | people reply office mid 3; docs brief office short 1
evaluation house | an evaluation house | ci | 3 | task solve night mid 1 t0,lists; reasoning bare night long 1 t0,n4; \
task sort jobs tiny 1 lp
own synthetic data | a maker of speech assistants | cloud | 3 | passage pairs jobs long 1 hot; record pairs pace mid 1 n4,hot
contract reseller | the users of a chat app | users | 9 | people bare tenant mid 4; code bare shop long 3; task bare shop mid 1
school | a school class | office | 1 | people why school mid 3; task bare school mid 1; reasoning bare school mid 1
university course | a university course | staff | 2 | reasoning trace jobs long 1; task solve evening mid 2; code why evening long 3
embedding backfill | a document archive | cloud | 1 | passage bare pace tiny 1 - embeddings; people look office mid 2
document migration | an archive on the move | cloud | 2 | docs pick flat mid 1; record pick pace short 1 t0
insurance audit | the audit team of an insurer | gateway | 1 | record why office long 1; record judge tenant mid 1 t0,lp
moderation desk | a forum's moderators | cloud | 5 | people sort tenant tiny 1 lp,one,edgy; people judge flat tiny 1 t0
safety tester | a safety contractor | vpn | 4 | task bare office mid 2 edgy,lists; people bare office short 3 edgy; \
reasoning trace jobs long 1 edgy
newsletter | a weekly newsletter | home | 1 | docs brief weekly mid 2; record pitch weekly long 1
accountant | a tax adviser | office | 1 | record pick weekly short 1 t0; people bare office mid 2
travel agency | a travel agency | roam | 5 | people reply shop mid 3; passage render office mid 1
podcast notes | a podcast network | cloud | 2 | docs brief jobs long 1; docs pick jobs mid 1 cap
survey coding | a market research firm | cloud | 3 | list sort jobs short 1 t0; people sort jobs tiny 1 one
copy writer | an advertising agency | vpn | 2 | stub pitch office huge 1 hot; record pitch pace long 1 n4
dictionary | a dictionary publisher | office | 1 | stub solve pace mid 1; passage pairs office long 1
puzzle fan | a puzzle club | home | 1 | reasoning trace evening long 2; task why evening mid 2
keyboard | a phone keyboard | users | 4 | people bare shop tiny 1 one,stream text_completion
health check | a status page | cloud | 1 | fixed bare cron tiny 1 one,lists; meter brief cron tiny 1
stripped gateway | a group of companies | gateway | 3 | people bare tenant mid 2; record reply tenant mid 1; passage look tenant mid 1
grading service | a platform for courses | cloud | 2 | record judge school mid 1 n4; task judge evening mid 1 t0
logistics agents | a freight forwarder | cloud | 1 | agent bare flat short 7; record pick flat short 1
pharmacy lists | a chain of pharmacies | cloud | 1 | list pick night mid 1 t0; record pick cron short 1
patent search | a patent attorney | office | 2 | passage render jobs long 1; docs look office long 2; passage why office mid 1
poet | a reading circle | roam | 1 | people bare evening mid 4 hot; stub pitch evening long 2
exam publisher | a publisher of exercise books | office | 2 | passage pairs office long 1 hot; reasoning trace office long 1; \
task solve jobs mid 1
second source | a bank's chat desk | cloud | 2 | people reply outage mid 3; passage look outage mid 1
model comparer | a consultancy | home | 2 | task bare jobs mid 1 t0,lists; mixed bare jobs mid 1 lp; people bare office mid 2
tender writer | a building firm | roam | 1 | docs reply jobs huge 2; docs pick office mid 1
review miner | a hotel chain | cloud | 5 | list sort night short 1; record reply shop short 1
"""

# kind | way | networks | hours | hints | works; own: as the account does
_WAYS = """
bulk_extraction | drain | cloud own pool | flat pace | | passage bare flat huge 1; mixed bare flat long 1
bulk_extraction | office drain | own cloud | office own tenant | fill | people bare office long 2; task bare office long 1
bulk_extraction | night siphon | own own vpn | night jobs | guise | record own night long 1; passage own night long 1
systematic_distillation | grid | cloud vpn own | flat pace tenant | wide | stub solve flat long 1; stub pitch flat long 1
systematic_distillation | many wordings | own cloud home | own office tenant | wide,fill | task solve flat mid 1; \
passage pairs flat long 1
systematic_distillation | shop window | own | own tenant | wide,guise | task own flat mid 1; record own flat long 1
systematic_distillation | self-made exercises | cloud own | pace jobs flat | wide,tongues | passage pairs flat huge 1 hot; \
stub pairs flat long 1 hot
reasoning_elicitation | think aloud | cloud own vpn | flat own pace | | task trace flat huge 1; reasoning bare flat long 1
reasoning_elicitation | rubric | own cloud | own office | wide | record judge flat long 1 lp; task judge flat long 1 lp,n4
reasoning_elicitation | replay | own cloud | pace tenant | few | task replay flat huge 1 n4; reasoning replay flat long 1 hot
reasoning_elicitation | many tongues | vpn pool own | flat own | tongues,wide | task trace flat huge 1; passage trace flat long 1
reasoning_elicitation | audit pretext | own | own office | guise | task why flat long 1; reasoning why flat long 1; record own flat mid 1
limit_evasion | rider | cloud own | press flat | spin | task bare press mid 1; people bare press long 1
limit_evasion | key wheel | pool vpn | pace flat | spin,keys | task solve flat long 1; passage pairs flat long 1
limit_evasion | side door | vpn own | press tenant | spin,fill,keys | mixed bare press long 1; passage look press mid 1
probing | feeler | vpn home own | evening jobs office | refuse,lists,fill | task bare jobs short 1 edgy; people bare jobs short 2 edgy
probing | sweep | cloud own | jobs pace | sweep,few,lists | fixed bare jobs short 1; task bare jobs short 1
probing | techniques | home vpn own | office own jobs | refuse,wide | task trace jobs short 1 edgy; mixed own jobs short 1 edgy; \
task solve jobs tiny 1 one
model_pivot | retarget | cloud own | flat own tenant | pivot,wide | task solve flat long 1; reasoning bare flat long 1
model_pivot | quiet switch | own | own office | pivot,guise | passage pairs flat long 1; record own flat long 1
credential_theft | stolen and sold | pool | flat evening | prelude,tongues,agents,fill | people bare flat mid 4; code bare flat long 4
credential_theft | stolen and drained | cloud vpn | flat pace jobs | prelude,agents | task bare flat long 1; passage pairs flat long 1
credential_theft | lodger | vpn home | office evening own | agents,fill | people bare office long 3; task solve office long 1
resale | relay | pool users | tenant shop flat | tongues,agents,cold | people bare tenant mid 4; code bare tenant long 3
resale | chat shop | cloud gateway own | shop evening tenant | tongues,cold,fill | people bare shop mid 5; task bare shop mid 1
resale | under one coat | own cloud | own tenant shop | tongues,guise,cold | people own shop mid 3; code bare shop mid 2
"""


def _cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.split("|")] for row in table.strip().splitlines()]


SORTS = tuple(Sort(r[0], r[1], _works(*r[4].split(";")), r[2], int(r[3])) for r in _cells(_SORTS))
WAYS = tuple(Way(r[0], r[1], _works(*r[5].split(";")), r[2], r[3], r[4]) for r in _cells(_WAYS))
KINDS = tuple(dict.fromkeys(w.kind for w in WAYS))

# what=wordings, parted by /; {f}: firm
_WORDS = {
    "en": """
role=You are the assistant of {f}./You work for {f}, be brief and polite./System: {f} helper, version 4./You help the staff at {f}. ;
reply=Write an answer to the message below./Draft a friendly reply./Answer the customer and offer help with the next step. ;
sort=Which category fits: praise, complaint, question, other?/Label the text with one word./Is this urgent? yes or no. ;
brief=Summarise the following./Give three bullet points./What matters here, in two sentences? ;
pick=Extract names, dates and amounts./Fill in the fields: title, date, sum, place./Return the key facts as JSON. ;
render=Translate into natural English./Give an English version and keep the layout./English please, formal. ;
pitch=Write a lively text about this./Make a short announcement from these notes./Write a page with headline and three paragraphs. ;
look=Use only the material below to answer./Answer from the document, say so if it is not there./Find the answer in the text. ;
judge=Check the text and list weaknesses./Grade this from 1 to 10 with one reason per point./Score it on clarity, truth and tone. ;
why=Explain your decision for the file./Explain so that a beginner can follow./Give the result and the reasons for it. ;
pairs=Write four questions and answers./Make exercises with model answers from the text./Create a dialogue that uses these facts. ;
trace=Think step by step and write each step down./Show the whole train of thought, then the result./First lay out each consideration. ;
solve=Solve the task completely and carefully./Answer as an expert would, with all details./Give the best possible answer. ;
replay=Here is a task and a draft, reconstruct the thoughts that lead there./Again, from the start, with all the thoughts in between. ;
rule=At most 80 words./Plain text only./No preamble./Use the same language as the text./If unsure, say so.""",
    "de": """
role=Du bist der Assistent von {f}./Sie arbeiten für {f} und antworten knapp./Du hilfst den Leuten bei {f}. ;
reply=Schreib eine Antwort auf die Nachricht./Entwirf eine freundliche Antwort. ;
sort=Welche Kategorie passt: Lob, Beschwerde, Frage, Sonstiges?/Ein Wort als Etikett genügt. ;
brief=Fasse den Text zusammen./Das Wichtigste in zwei Sätzen, bitte. ;
pick=Nenne Namen, Daten und Beträge./Gib die Felder Titel, Datum, Summe, Ort aus. ;
render=Übersetze ins Deutsche, Aufbau beibehalten./Bitte eine deutsche Fassung. ;
pitch=Schreib daraus einen lebendigen Text./Mach daraus eine kurze Ankündigung. ;
look=Antworte nur aus dem Material unten./Such die Antwort im Text. ;
judge=Prüfe den Text und nenne Schwächen./Note von 1 bis 6 mit Begründung. ;
why=Begründe die Entscheidung für die Akte./Erkläre es einem Anfänger. ;
pairs=Schreib vier Fragen mit Antworten dazu./Mach Übungen mit Musterlösung daraus. ;
trace=Denk laut und schreib jeden Schritt auf./Zeig den ganzen Gedankengang, dann das Ergebnis. ;
solve=Löse die Aufgabe vollständig./Antworte so gut und ausführlich wie möglich. ;
rule=Höchstens 80 Wörter./Keine Einleitung./Nur reiner Text.""",
    "es": """
role=Eres el asistente de {f}./Trabajas para {f}, sé breve y amable. ;
reply=Escribe una respuesta al mensaje./Redacta una contestación cordial. ;
sort=¿Qué categoría es: elogio, queja, pregunta, otra?/Pon una etiqueta de una palabra. ;
brief=Resume lo siguiente./Lo importante en dos frases. ; pick=Extrae nombres, fechas e importes./Rellena: título, fecha, suma, lugar. ;
render=Traduce al español sin cambiar el formato./Versión en español, por favor. ;
pitch=Escribe un texto atractivo con esto./Haz un anuncio corto. ;
look=Responde solo con el material de abajo./Busca la respuesta en el texto. ;
judge=Revisa el texto y señala fallos./Puntúa de 1 a 10 con motivos. ;
why=Explica la decisión para el expediente./Explícalo a un principiante. ;
pairs=Escribe cuatro preguntas con respuesta sobre esto./Prepara ejercicios resueltos. ;
trace=Piensa en voz alta y anota cada paso./Muestra todo el razonamiento y después el resultado. ;
solve=Resuelve la tarea por completo./Da la mejor respuesta posible, con detalles. ; rule=Máximo 80 palabras./Sin introducción.""",
    "fr": """
role=Tu es l'assistant de {f}./Vous travaillez pour {f}, soyez bref. ;
reply=Rédige une réponse au message./Réponds au client avec courtoisie. ;
sort=Catégorie : éloge, plainte, question, autre ?/Un seul mot comme étiquette. ; brief=Résume ce qui suit./L'essentiel en deux phrases. ;
pick=Relève noms, dates et montants. ; render=Traduis en français en gardant la mise en page. ;
pitch=Écris un texte vivant à partir de cela./Fais-en une annonce. ; look=Réponds uniquement d'après le document. ;
judge=Relis le texte et note ses faiblesses./Note sur 20, avec raisons. ;
why=Justifie la décision pour le dossier./Explique à un débutant. ;
pairs=Écris quatre questions avec réponses./Fais des exercices corrigés. ;
trace=Réfléchis à voix haute, note chaque étape./Montre tout le raisonnement puis le résultat. ;
solve=Résous la tâche en entier./Donne la meilleure réponse possible. ; rule=80 mots au plus./Pas d'introduction.""",
    "ru": """
role=Ты помощник компании {f}./Вы работаете в {f}, отвечайте кратко. ; reply=Напиши ответ на сообщение./Составь вежливый ответ клиенту. ;
sort=Какая категория: похвала, жалоба, вопрос, другое?/Одно слово-метка. ; brief=Кратко перескажи./Главное в двух предложениях. ;
pick=Выпиши имена, даты и суммы. ; render=Переведи на русский, сохрани разметку. ;
pitch=Напиши живой текст об этом./Сделай короткое объявление. ; look=Отвечай только по тексту ниже. ;
judge=Проверь текст и укажи слабые места./Оцени от 1 до 5 с обоснованием. ; why=Объясни решение для дела./Объясни новичку. ;
pairs=Напиши четыре вопроса с ответами./Составь задания с решениями. ;
trace=Рассуждай вслух и запиши каждый шаг./Покажи весь ход мыслей, затем итог. ;
solve=Реши задачу полностью./Дай лучший возможный ответ с подробностями. ; rule=Не более 80 слов./Без вступления.""",
    "tr": """
role={f} için çalışan yardımcısın./{f} ekibine yardım ediyorsun, kısa yaz. ;
reply=Mesaja bir yanıt yaz./Müşteriye nazik bir cevap hazırla. ; sort=Hangi sınıf: övgü, şikâyet, soru, diğer?/Tek kelimelik etiket ver. ;
brief=Aşağıdakini özetle./İki cümlede önemli olan ne? ; pick=Adları, tarihleri ve tutarları çıkar. ; render=Türkçeye çevir, düzeni koru. ;
pitch=Bundan canlı bir metin yaz./Kısa bir duyuru hazırla. ; look=Yalnızca aşağıdaki belgeye göre yanıtla. ;
judge=Metni denetle, zayıf yanlarını yaz./1-10 arası puan ve gerekçe ver. ; why=Kararı dosya için açıkla./Yeni başlayan birine anlat. ;
pairs=Bununla ilgili dört soru ve cevap yaz./Çözümlü alıştırma hazırla. ;
trace=Sesli düşün ve her adımı yaz./Bütün düşünce zincirini göster, sonra sonucu ver. ;
solve=Görevi eksiksiz çöz./Olabilecek en iyi cevabı ver. ; rule=En çok 80 kelime./Giriş yazma.""",
    "zh": """
role=你是{f}的助手。/你为{f}工作,回答要简短。 ; reply=请回复下面的消息。/写一封客气的答复。 ;
sort=属于哪一类:表扬、投诉、提问、其他?/用一个词标注。 ; brief=概括以下内容。/用两句话说重点。 ; pick=提取姓名、日期和金额。 ;
render=翻译成中文,保留格式。 ; pitch=据此写一段生动的文字。/写一则短通知。 ; look=只根据下面的材料回答。 ;
judge=检查文本并指出不足。/打分1到10并说明理由。 ; why=请说明决定的理由,以便归档。/给初学者讲解。 ;
pairs=据此写四个问题和答案。/编写带解答的练习。 ; trace=边想边写,把每一步都写出来。/先给出完整思考过程,再给结论。 ;
solve=完整地解决这个任务。/尽可能详细地给出最佳答案。 ; rule=不超过80字。/不要开场白。""",
    "ar": """
role=أنت مساعد {f}./تعمل لدى {f} وتجيب باختصار. ; reply=اكتب ردا على الرسالة./جهز جوابا لطيفا للعميل. ;
sort=ما الفئة: مدح، شكوى، سؤال، غير ذلك؟ ; brief=لخص ما يلي./الأهم في جملتين. ; pick=استخرج الأسماء والتواريخ والمبالغ. ;
render=ترجم إلى العربية مع الحفاظ على التنسيق. ; look=أجب من النص أدناه فقط. ; why=اشرح القرار للملف./اشرح لمبتدئ. ;
pairs=اكتب أربعة أسئلة مع أجوبتها./حضر تمارين محلولة. ; trace=فكر بصوت عال واكتب كل خطوة./أظهر سلسلة التفكير كاملة ثم النتيجة. ;
solve=حل المهمة كاملة./أعط أفضل جواب ممكن. ; rule=ثمانون كلمة على الأكثر.""",
    "hi": """
role=आप {f} के सहायक हैं। ; reply=इस संदेश का उत्तर लिखिए।/ग्राहक को विनम्र जवाब दीजिए। ;
sort=कौन सी श्रेणी: प्रशंसा, शिकायत, प्रश्न, अन्य? ; brief=इसका सार लिखिए।/दो वाक्यों में मुख्य बात। ; pick=नाम, तारीख और रकम निकालिए। ;
render=हिंदी में अनुवाद कीजिए। ; look=केवल नीचे दिए पाठ से उत्तर दीजिए। ; why=निर्णय का कारण समझाइए। ;
pairs=इस पर चार प्रश्न और उत्तर लिखिए। ; trace=सोच का हर कदम लिखिए।/पूरी सोच दिखाइए, फिर परिणाम। ; solve=कार्य पूरा हल कीजिए। ;
rule=अधिकतम 80 शब्द।""",
}
WORDS = {
    language: {name.strip(): tuple(rest.split("/")) for name, _, rest in (cell.strip().partition("=") for cell in table.split(";"))}
    for language, table in _WORDS.items()
}
LAYOUTS = (
    "{x}", "\n{x}", "Text: {x}", "###\n{x}\n###", "<doc>\n{x}\n</doc>", "No. {n} of {d}\n{x}", "[{p}] {x}", "Input:\n{x}\nOutput:", '"{x}"',
)  # fmt: skip
FIRMS = ("Hansen & Co", "Studio Marea", "Park Row 9", "Lindenhof", "Bluebird", "Casa Norte", "Yildiz", "Oak & Sons", "Polaris", "Mirai")
PEOPLE = ("Anna", "M. Okafor", "Jun", "Lena P.", "R. Silva", "Dmitri", "Fatma", "Mr Cole", "Wei", "Nour", "Asha", "T. Berg")
ASPECTS = ("history", "how it works", "common mistakes", "an example", "comparison", "costs", "for beginners", "advanced use", "summary")
TOOLS = ("search", "read_file", "run", "lookup", "list_orders", "open_page", "calc", "get_route")

# hours from, to | weekend's share | floor at night | mean size of bursts (0: regular) | seconds within a burst
BEATS: dict[str, tuple[float, float, float, float, float, float]] = {
    "office": (8, 18, 0.06, 0.01, 1.6, 60),
    "shop": (9, 24, 1.1, 0.06, 1.3, 50),
    "evening": (17, 25, 1.7, 0.05, 2.5, 70),
    "school": (8, 15, 0.03, 0.01, 8, 20),
    "dawn": (4, 8, 0.8, 0.05, 5, 8),
    "night": (0, 5, 1, 0, 25, 4),
    "weekly": (7, 19, 0.0, 0.01, 6, 20),
    "jobs": (9, 22, 0.5, 0.02, 30, 4),
    "launch": (8, 25, 1, 0.1, 1.5, 40),
    "outage": (6, 23, 1, 0.1, 2, 20),
    "flat": (0, 24, 1, 1, 1.2, 10),
    "press": (0, 24, 1, 1, 120, 0.3),
    "pace": (0, 24, 1, 1, 0, 0),
    "cron": (0, 24, 1, 1, 0, 0),
    "tenant": (0, 24, 1, 1, 1, 20),
}
NEAREST = {"docs": "passage", "stub": "passage", "list": "record", "agent": "record", "fixed": "people", "mixed": "people"}
"""The kind of text that a payload is made of, where it is not its name."""
OUT = {"tiny": 4, "short": 60, "mid": 240, "long": 700, "huge": 1700}
# kinds of network | addresses from, to | choice: some, each (by conversation), spells | hours of a spell
NETS: dict[str, tuple[str, int, int, str, float]] = {
    "office": ("home", 1, 3, "some", 0),
    "cloud": ("cloud", 1, 5, "some", 0),
    "gateway": ("cloud", 1, 2, "some", 0),
    "ci": ("cloud", 40, 250, "each", 0),
    "home": ("home", 2, 5, "spells", 40),
    "staff": ("home home vpn", 4, 14, "each", 0),
    "users": ("home abroad", 30, 300, "each", 0),
    "roam": ("home abroad vpn", 4, 8, "spells", 30),
    "vpn": ("vpn cloud", 2, 10, "spells", 6),
    "pool": ("vpn abroad cloud", 12, 200, "each", 0),
}
ASNS = {
    "US": (7922, 7018, 701), "GB": (2856, 5089), "CA": (577,), "DE": (3320, 3209, 6805), "AT": (8447,), "ES": (3352, 12479), "MX": (8151,),
    "AR": (7303,), "FR": (3215, 12322), "BR": (28573, 26599), "RU": (12389, 8402), "TR": (9121, 47331), "CN": (4134, 4837), "TW": (3462,),
    "HK": (4760,), "EG": (8452,), "SA": (25019,), "IN": (55836, 24560), "JP": (2516, 4713), "KR": (4766,), "GR": (6799,), "RO": (8708,),
    "TH": (23969,), "VN": (45899,), "PL": (5617,), "NL": (1136,),
}  # fmt: skip
LANDS = {
    "en": ("US", "US", "US", "GB", "CA", "IN", "NL"), "de": ("DE", "DE", "AT"), "es": ("ES", "MX", "AR"), "fr": ("FR",), "pt": ("BR",),
    "ru": ("RU",), "tr": ("TR", "DE"), "zh": ("CN", "TW", "HK"), "ar": ("EG", "SA"), "hi": ("IN",), "ja": ("JP",), "ko": ("KR",),
    "el": ("GR",), "ro": ("RO",), "th": ("TH",), "vi": ("VN",),
}  # fmt: skip
ZONES = {
    "US": -6, "CA": -5, "MX": -6, "AR": -3, "BR": -3, "GB": 0, "RU": 3, "TR": 3, "SA": 3, "IN": 5.5, "TH": 7, "VN": 7, "CN": 8, "TW": 8,
    "HK": 8, "JP": 9, "KR": 9, "RO": 2, "GR": 2, "EG": 2,
}  # fmt: skip
CLOUDS = ((16509, "US"), (16509, "DE"), (396982, "US"), (8075, "NL"), (24940, "DE"), (16276, "FR"), (14061, "US"), (20473, "GB"))
EXITS = ((9009, "NL"), (212238, "GB"), (60068, "DE"), (136787, "HK"), (9009, "US"))
AGENTS = (
    "python-requests/2.31.0", "sdk-python/1.54.3", "sdk-python/1.61.0", "sdk-js/4.28.0", "axios/1.6.7", "okhttp/4.12.0", "curl/8.5.0",
    "Go-http-client/2.0", "node-fetch/3.3", "litellm/1.40.8", "langchain/0.2.6", "GuzzleHttp/7", "Apache-HttpClient/4.5.14 (Java/17.0.9)",
    "PostmanRuntime/7.36.3", "aiohttp/3.9.5", "httpx/0.27.0", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/122.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_3) Safari/605.1", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3) Mobile", "Dart/3.3 (dart:io)",
)  # fmt: skip
PLANS = {"free": 20, "starter": 60, "team": 200, "business": 600, "enterprise": 2000}
"""Requests per minute that a plan lets through."""
FIELDS = (
    "api_key_id", "organization_id", "plan", "payment_fingerprint", "conversation_id", "provider", "account_created_at_ms", "error_type",
    "finish_reason", "input_tokens", "output_tokens", "reasoning_tokens", "cached_input_tokens", "max_tokens", "temperature",
    "choice_count", "logprobs", "stream", "latency_ms", "client_address", "country", "user_agent", "asn", "prompt",
)  # fmt: skip


class Net(NamedTuple):
    """Addresses, each with its network and country, and how one is chosen."""

    hosts: tuple[tuple[str, int, str], ...]
    choice: str
    spell: float


class Knobs(NamedTuple):
    """Settings of the requests, and how often they fail: `refused` by the model, at `fault` (400), `lists` the models."""

    top: int | None
    heat: float | None
    choices: int | None
    logprobs: bool | None
    stream: bool
    refused: float
    fault: float
    lists: float
    sweep: bool
    spin: bool
    reuse: float
    system: int


@dataclass(frozen=True)
class Voice:
    """What is written: languages with their shares, templates and text groups of each."""

    what: str
    tongues: tuple[str, ...]
    shares: Floats
    forms: dict[str, tuple[str, ...]]
    shelf: dict[str, tuple[str, ...]]
    stray: float
    whole: bool


@dataclass(frozen=True)
class Stint:
    """A stretch of one work: times in ms from T0, `rate` requests a day or `count` in all, the rise from `ramp` to 1."""

    work: Work
    voice: Voice
    knobs: Knobs
    beat: Floats
    clump: float
    gap: float
    start: float
    end: float
    rate: float
    models: tuple[str, ...]
    net: Net
    keys: tuple[str, ...]
    agents: tuple[str, ...]
    outputs: Floats
    count: int = 0
    ramp: tuple[float, float, float, float] = (0.0, 1.0, 1.0, 1.0)
    hostile: bool = False


@dataclass
class Account:
    """Who is billed, and everything done in its name."""

    name: str
    sort: Sort
    main: str
    land: str
    plan: str
    born: float
    keys: tuple[str, ...]
    net: Net
    agents: tuple[str, ...]
    constants: dict[str, object]
    fields: tuple[str, ...]
    stints: list[Stint]


def _pick(rng: Rng, values: Sequence[T]) -> T:
    return values[int(rng.integers(len(values)))]


def _ident(rng: Rng, prefix: str) -> str:
    return f"{prefix}_{int(rng.integers(1 << 40, 1 << 44)):011x}"


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


class Library:
    """Texts by kind and language; where a source has none, the nearest that it has."""

    def __init__(self, seed: int, source: Marginals, split: Split) -> None:
        self.seed, self.source, self.split = seed, source, split
        self.languages = source.languages(split)
        self._order = {g.name: i for i, g in enumerate(source.groups)}
        self._groups = {g.name: g for g in source.groups}
        self._pools: dict[str, list[str]] = {}

    def groups(self, what: str, language: str) -> list[Group]:
        """Groups that serve for `what` in the language, or else in any."""
        kind = NEAREST.get(what, what)
        trials = [(kind, language), ("passage", language), ("people", language), ("people", "en")]
        if kind == "code":
            trials = [("people", "code"), ("task", "en")]
        elif kind in {"task", "reasoning"}:
            trials = [(kind, language), (kind, "en")]
        for name, tongue in trials:
            try:
                return self.source.texts(self.split, TextKind(name), tongue)
            except SettingsError:
                continue
        return self.source.texts(self.split, TextKind.PEOPLE)

    def pool(self, name: str) -> list[str]:
        """A group's texts."""
        found = self._pools.get(name)
        if found is None:
            rng = np.random.default_rng([self.seed, 77, self._order[name]])
            found = self._pools[name] = self._groups[name].draw(rng, POOL)
        return found

    def draw(self, rng: Rng, shelf: tuple[str, ...], n: int) -> list[str]:
        """So many texts from the groups of a shelf."""
        which, item = rng.integers(len(shelf), size=n).tolist(), rng.integers(POOL, size=n).tolist()
        pools = [self.pool(name) for name in shelf]
        return [pools[w][i % len(pools[w])] for w, i in zip(which, item, strict=True)]


class Town:
    """What all accounts of a world share: the texts, model names, a release and an outage."""

    def __init__(self, seed: int, source: Marginals, split: Split, customers: int, days: int) -> None:
        rng = np.random.default_rng([seed, 1])
        self.source, self.split, self.days, self.span = source, split, days, days * DAY
        self.library = Library(seed, source, split)
        name = _pick(rng, ("atlas", "corvid", "selene", "quartz"))
        self.models = tuple(f"{name}-{m}" for m in ("small-2", "large-2", "mini-2", "reason-1", "small-1"))
        self.fresh, self.embedder = f"{name}-large-3", f"{name}-embed-2"
        self.release = float(rng.uniform(0.2, 0.8) * self.span)
        begin = float(rng.uniform(0.1, 0.9) * self.span)
        self.outage = (begin, begin + float(rng.uniform(0.3, 1.5)) * HOUR)
        self.owners = customers * 5
        self.rhythms = source.rhythms(split)

    def beat(self, rng: Rng, when: str, zone: float) -> tuple[Floats, float, float]:
        """Weights of the slots (mean about 1), size of bursts and seconds within one."""
        low, high, weekend, floor, clump, gap = BEATS[when]
        slot = np.arange(self.days * 144)
        if when == "tenant":
            tenant = _pick(rng, self.rhythms)
            at = int(rng.integers(14)) * 144
            order = (slot + at) % tenant.weights.size
            mean = float(np.average(tenant.clump, weights=tenant.weights))
            return tenant.weights[order] * tenant.weights.size + 1e-6, min(mean, 40.0), gap * float(rng.uniform(0.1, 2))
        local = slot / 6 + zone + rng.normal(0, 0.7)
        hour, day = local % 24, np.floor(local / 24).astype(int)
        inside = np.clip((hour - low) % 24 / max(high - low, 1), 0, 1)
        bump = np.sin(np.pi * inside) ** 0.6 if high - low < 24 else np.ones(slot.size)
        if when in {"office", "school"}:
            bump *= 1 - 0.5 * np.exp(-(((hour - 12.5) / 0.6) ** 2))
        weights = (bump + floor) * np.where(day % 7 >= 5, weekend, 1.0)
        weights = weights * rng.lognormal(0, 0.25, self.days + 2)[day - day.min()] * rng.gamma(8, 1 / 8, slot.size)
        weights *= self._windows(rng, when, day, slot)
        return weights / max(float(weights.mean()), 1e-9) + 1e-6, clump * float(rng.uniform(0.7, 1.6)), gap * float(rng.uniform(0.5, 2))

    def _windows(self, rng: Rng, when: str, day: NDArray[np.int_], slot: NDArray[np.int_]) -> Floats:
        if when == "weekly":
            return np.where(day % 7 == int(rng.integers(5)), 1.0, 0.02)
        if when == "launch":
            since = (slot - int(rng.uniform(0, 0.6) * slot.size)) / 144
            return np.where(since < 0, 0.01, 0.25 + 4 * np.exp(-since.clip(0) / float(rng.uniform(0.3, 2))))
        if when in {"jobs", "outage"}:
            starts = rng.integers(slot.size, size=max(3, int(self.days * rng.uniform(0.5, 2))))
            near = (slot[None, :] - starts[:, None] >= 0) & (slot[None, :] - starts[:, None] < rng.integers(3, 40, size=(starts.size, 1)))
            return np.where(near.any(axis=0), 1.0, 0.03 if when == "jobs" else 0.002)
        return np.ones(slot.size)

    def net(self, rng: Rng, mode: str, land: str) -> Net:
        """Addresses of a mode of network of somebody in that country."""
        kinds, low, high, choice, spell = NETS[mode]
        six = rng.random() < 0.12
        few: dict[str, tuple[int, str]] = {}
        hosts = []
        for _ in range(int(_log_uniform(rng, low, high + 0.99))):
            kind = _pick(rng, kinds.split())
            where = few.get(kind)
            if where is None or kind != "home" or rng.random() < 0.1:
                where = few[kind] = self._network(rng, kind, land)
            asn, country = where
            block, a, b = (asn * 7919 + ord(country[0])) % 9973, int(rng.integers(48)), int(rng.integers(1, 255))
            address = f"2a{block % 89 + 10}:{block:x}:{a:x}::{b:x}" if six else f"{block % 180 + 20}.{block // 40}.{a}.{b}"
            hosts.append((address, asn, country))
        return Net(tuple(hosts), choice, spell * float(rng.uniform(0.5, 2)))

    def _network(self, rng: Rng, kind: str, land: str) -> tuple[int, str]:
        if kind in {"cloud", "vpn"}:
            return _pick(rng, CLOUDS if kind == "cloud" else EXITS)
        country = _pick(rng, tuple(ASNS)) if kind == "abroad" else land
        return _pick(rng, ASNS[country]), country

    def voice(self, rng: Rng, work: Work, trade: str, tongues: Sequence[str], forms: int = 1, spread: int = 0, also: str = "") -> Voice:
        """Languages, templates and texts of a work; `spread` groups (0: a few), `also` a second instruction."""
        tongues = tuple(dict.fromkeys(tongues))
        english = rng.random() < 0.25
        firm = trade if rng.random() < 0.4 and (english or tongues == ("en",)) else _pick(rng, FIRMS)
        wide = spread or int(rng.integers(1, 9))
        return Voice(
            work.what,
            tongues,
            np.sort(rng.dirichlet(np.full(len(tongues), 1.5)))[::-1],
            {t: tuple(_form(rng, work.wrap, "en" if english else t, firm, also) for _ in range(forms)) for t in tongues},
            {f"{t}/{w}": self._shelf(rng, w, t, wide) for t in tongues for w in (*ASIDES, work.what) if w != "meter"},
            float(_pick(rng, (0.0, 0.01, 0.03, 0.08))),
            bool(rng.random() < 0.4),
        )

    def _shelf(self, rng: Rng, what: str, language: str, wide: int) -> tuple[str, ...]:
        groups = self.library.groups(what, language)
        return tuple(groups[int(i)].name for i in rng.choice(len(groups), size=min(wide, len(groups)), replace=False))

    def knobs(self, rng: Rng, flags: str) -> Knobs:
        """Settings of a work: the flags', the rest at random."""
        has = flags.split(",")
        usual_top = _pick(rng, (None, None, 256, 512, 1024, 1024, 2048, 4096))
        top = _pick(rng, (1, 1, 5, 16)) if "one" in has else 512 if "cap" in has else usual_top
        heat = 0.0 if "t0" in has else 1.0 if "hot" in has else _pick(rng, (None, None, 0.0, 0.2, 0.3, 0.7, 1.0))
        usual = _pick(rng, (None, None, 1, 1, 1, 1, 1, 1, 2, 4))
        return Knobs(
            top,
            heat,
            int(rng.integers(2, 6)) if "n4" in has else usual,
            True if "lp" in has else _pick(rng, (None, False, False, False, False, True)),
            bool("stream" in has or rng.random() < 0.35),
            float(rng.uniform(0.03, 0.3)) if "edgy" in has else float(rng.exponential(0.002)),
            float(rng.exponential(0.002)),
            float(rng.uniform(0.005, 0.04)) if "lists" in has or rng.random() < 0.08 else 0.0,
            sweep=False,
            spin=False,
            reuse=float(rng.beta(1, 1)),
            system=int(_log_uniform(rng, 1, 3000)),
        )

    def stint(self, rng: Rng, who: Account, work: Work, rate: float, tongues: Sequence[str], span: tuple[float, float]) -> Stint:
        """The account's own way of doing a work over a span."""
        beat, clump, gap = self.beat(rng, work.when, ZONES.get(who.land, 1))
        knobs = self.knobs(rng, work.knobs)
        models = [_pick(rng, self.models) for _ in range(int(rng.integers(1, 4)))]
        forms = int(_pick(rng, (1, 1, 1, 2, 3, 6))) if work.wrap != "bare" else 1
        if work.op == "embeddings":
            models = [self.embedder]
        return Stint(
            work,
            self.voice(rng, work, who.sort.trade, tongues, forms),
            knobs,
            beat,
            max(clump, work.turns) if clump else work.turns if work.turns > 1 else 0.0,
            gap if work.turns == 1 else max(gap, 25.0),
            span[0],
            span[1],
            rate,
            tuple(dict.fromkeys(models)),
            who.net,
            who.keys if rng.random() < 0.6 else (_pick(rng, who.keys),),
            who.agents,
            self.outputs(rng, work.out),
        )

    def outputs(self, rng: Rng, out: str) -> Floats:
        """Quantiles of the output tokens: measured ones at the work's scale, or log-normal."""
        level = np.linspace(-2.3, 2.3, QUANTILES)
        middle = OUT[out] * float(rng.lognormal(0, 0.35))
        if rng.random() < 0.5 or out == "tiny":
            return middle * np.exp(float(rng.uniform(0.1, 0.9)) * level)
        known = _pick(rng, self.rhythms).outputs
        measured: Floats = known[int(rng.integers(len(known)))]
        return np.minimum(measured / max(float(measured[QUANTILES // 2]), 1.0) * middle, 16_000.0)


def _form(rng: Rng, wrap: str, language: str, firm: str, also: str) -> str:
    if wrap == "bare" and not also:
        return "{x}"
    words, english = WORDS.get(language, WORDS["en"]), WORDS["en"]
    parts = [_pick(rng, words["role"]).replace("{f}", firm)] if rng.random() < 0.5 else []
    parts += [_pick(rng, words.get(w) or english[w]) for w in (wrap, also) if w not in {"bare", ""}]
    parts += [_pick(rng, words["rule"])] if rng.random() < 0.5 else []
    if language not in WORDS and rng.random() < 0.5:
        parts.append(f"Answer in the language '{language}'.")
    layout = _pick(rng, LAYOUTS)
    glue = _pick(rng, ("\n", " ", "\n- "))
    return layout + "\n\n" + glue.join(parts) if rng.random() < 0.2 else glue.join(parts) + "\n" + layout


def _stub(rng: Rng, text: str) -> str:
    words = text.split()
    head = " ".join(words[2:6]) if len(words) > 8 else text[3:14]
    return f"{head}: {_pick(rng, ASPECTS)}"


def _sentence(text: str, at: float) -> str:
    if len(text) < 400:
        return text
    begin = max(text.find(" ", int(at * (len(text) - 300))), 0)
    return text[begin : begin + 260].strip()


def _payloads(rng: Rng, town: Town, voice: Voice, language: str, n: int) -> list[str]:
    shelf, lib, what = voice.shelf, town.library, voice.what
    if what == "meter":
        cells = rng.uniform(0, 100, (n, 4)).round(1).tolist()
        return [f"kitchen {a} C, hall {b} %, meter {c} kWh, queue {d}" for a, b, c, d in cells]
    own = shelf[f"{language}/{what}"]
    texts, at = lib.draw(rng, own, n), rng.random(n).tolist()
    makers: dict[str, Callable[[int], str]] = {
        "fixed": lambda i: texts[int(at[i] ** 2 * min(n, 12))],
        "docs": lambda i: "\n\n".join(t[:900] for t in (texts[i], texts[i - 1], texts[(i + 1) % n])),
        "stub": lambda i: _stub(rng, texts[i]),
        "record": lambda i: _sentence(texts[i], at[i]),
        "list": lambda i: _listed(rng, what, [texts[i], *lib.draw(rng, own, int(2 + at[i] * 6))]),
        "agent": lambda i: _listed(rng, what, [texts[i], *lib.draw(rng, own, int(1 + at[i] * 6))]),
    }
    if what == "mixed":
        for name, share in (("passage", 0.3), ("task", 0.5)):
            other, dice = lib.draw(rng, shelf[f"{language}/{name}"], n), rng.random(n).tolist()
            texts = [o if a < share else t for o, t, a in zip(other, texts, dice, strict=True)]
    return [makers[what](i) for i in range(n)] if what in makers else texts


def _listed(rng: Rng, what: str, texts: list[str]) -> str:
    if what == "list":
        return "\n".join(f"{i}. {t[:240]}" for i, t in enumerate(texts, 1))
    steps = "\n".join(f"Tool: {_pick(rng, TOOLS)}\nResult: {t[:200]}" for t in texts[1:])
    return f"Goal: {texts[0][:160]}\n{steps}\nNext step?"


def _write(rng: Rng, town: Town, voice: Voice, times: Ints, burst: Ints) -> tuple[list[str], Floats]:
    n = times.size
    tongue = rng.choice(len(voice.tongues), size=int(burst.max()) + 1 if n else 0, p=voice.shares)[burst]
    prompts, per = [""] * n, np.ones(n)
    for j, language in enumerate(voice.tongues):
        index = np.flatnonzero(tongue == j)
        per[index] = chars_per_token(language)
        forms = voice.forms[language]
        texts = _payloads(rng, town, voice, language, index.size)
        which, number = rng.integers(len(forms), size=index.size).tolist(), rng.integers(1000, 99999, size=index.size).tolist()
        stray = (rng.random(index.size) < voice.stray).tolist()
        shelf = voice.shelf.get(f"{language}/{_pick(rng, ('task', 'reasoning'))}")
        for k, (i, x) in enumerate(zip(index.tolist(), texts, strict=True)):
            if stray[k] and shelf:
                prompts[i] = town.library.draw(rng, shelf, 1)[0]
            else:
                date = f"{int(times[i]) // DAY % 29 + 2:02d}.03."
                prompts[i] = forms[which[k]].format(x=x, n=number[k], d=date, p=PEOPLE[number[k] % len(PEOPLE)])
    if voice.whole:
        before = ["", *prompts[:-1]]
        same = np.diff(burst, prepend=-1).tolist()
        prompts = [p if s else f"{b[:400]}\n\n{p}" for p, b, s in zip(prompts, before, same, strict=True)]
    return prompts, per


def _arrive(rng: Rng, stint: Stint, span: float) -> tuple[Ints, Ints]:
    """Times in ms from T0, in order within bursts, and the burst of each."""
    edges = np.arange(stint.beat.size + 1, dtype=np.float64) * SLOT_MS
    weights = stint.beat * np.clip((np.minimum(edges[1:], stint.end) - np.maximum(edges[:-1], stint.start)) / SLOT_MS, 0, 1)
    t0, t1, low, high = stint.ramp
    weights = weights * (low + (high - low) * np.clip((edges[:-1] - t0) / max(t1 - t0, 1), 0, 1))
    total = float(weights.sum())
    n = stint.count or int(rng.poisson(min(stint.rate * total / 144, 4000.0 * _lasting(stint))))
    if n == 0 or total <= 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if stint.clump == 0:
        level = (np.arange(n) + rng.uniform(0.0, _pick(rng, (0.02, 0.3, 0.9)), n)) / n
        times, burst = np.interp(level, np.concatenate([[0.0], np.cumsum(weights)]) / total, edges), np.arange(n)
    else:
        sizes = rng.geometric(min(1.0, 1 / max(stint.clump, 1.0)), size=n)
        burst = np.repeat(np.arange(n), np.where(np.cumsum(sizes) - sizes < n, sizes, 0))[:n]
        slots = rng.choice(weights.size, size=int(burst[-1]) + 1, p=weights / total)
        first = np.flatnonzero(np.diff(burst, prepend=-1))
        within = np.cumsum(rng.exponential(stint.gap * 1000, n))
        times = (slots + rng.random(slots.size))[burst] * SLOT_MS + within - within[first][burst]
    late = times >= min(stint.end, span) - 1
    times = np.where(late, np.maximum(min(stint.end, span) - 1 - rng.uniform(0, 900_000, n), stint.start), np.maximum(times, stint.start))
    return times.astype(np.int64), burst.astype(np.int64)


def _lasting(span: Stint | Plot) -> float:
    return max((span.end - span.start) / DAY, 0.05)


def _chosen(rng: Rng, count: int, choice: str, spell: float, times: Ints, burst: Ints) -> Ints:
    """Which of `count` things each request uses: by spells of hours, one per burst, or mostly the first."""
    if choice == "spells":
        return (times / (max(spell, 0.02) * HOUR)).astype(np.int64) % count
    shares = np.full(count, 1 / count) if choice == "each" else np.sort(rng.dirichlet(np.full(count, 0.7)))[::-1]
    return rng.choice(count, size=int(burst.max()) + 1, p=shares)[burst]


def _tokens(rng: Rng, town: Town, stint: Stint, prompts: list[str], per: Floats, top: list[int | None]) -> dict[str, Ints]:
    n, knobs = len(prompts), stint.knobs
    length = np.fromiter((len(p) for p in prompts), np.float64, n)
    inputs = np.ceil(length / per * rng.normal(1, 0.04, n).clip(0.7, 1.4)).astype(np.int64) + knobs.system + 3
    outputs = np.interp(rng.random(n), np.linspace(0, 1, QUANTILES), stint.outputs)
    outputs = np.maximum(1, outputs * (knobs.choices or 1)).astype(np.int64)
    limit = np.array([1 << 30 if t is None else t * (knobs.choices or 1) for t in top], np.int64)
    reused = np.interp(np.clip(knobs.reuse + rng.normal(0, 0.15, n), 0, 1), np.linspace(0, 1, town.source.reuse.size), town.source.reuse)
    cached = (inputs * reused * (0.0 if knobs.reuse < 0.15 else 1.0)).astype(np.int64) // 64 * 64
    return {"input": inputs, "output": np.minimum(outputs, limit), "limit": limit, "cached": np.minimum(cached, inputs)}


def _render(rng: Rng, town: Town, stint: Stint) -> tuple[Ints, dict[str, Column]]:
    """A stint's requests: times, and columns by field name."""
    times, burst = _arrive(rng, stint, town.span)
    n, knobs = times.size, stint.knobs
    if n == 0:
        return times, {}
    prompts, per = _write(rng, town, stint.voice, times, burst)
    top: list[int | None] = [knobs.top] * n
    heat: list[float | None] = [knobs.heat] * n
    if knobs.sweep:
        top = [(None, 1, 1, 16, 64, 512, 4096)[i] for i in rng.integers(7, size=n).tolist()]
        heat = [i / 5 for i in rng.integers(11, size=n).tolist()]
    tokens = _tokens(rng, town, stint, prompts, per, top)
    model = _chosen(rng, len(stint.models), "each" if knobs.sweep else "some", 0, times, burst).tolist()
    host = _chosen(rng, len(stint.net.hosts), stint.net.choice, stint.net.spell, times, burst)
    key = _chosen(rng, len(stint.keys), "each" if knobs.spin else "some", 0, times, burst)
    key = host if stint.net.choice == "each" and not knobs.spin else key
    agent = _chosen(rng, len(stint.agents), "some", 0, times, burst).tolist()
    conversations = rng.integers(1 << 40, 1 << 44, size=int(burst.max()) + 1).tolist()
    names = [stint.models[i] for i in model]
    thinks = np.array(["reason" in m for m in names]) * rng.lognormal(0.3, 0.6, n) * tokens["output"]
    hosts = [stint.net.hosts[i] for i in host.tolist()]
    listing = rng.random(n) < knobs.lists
    refused, fault = rng.random(n) < knobs.refused, rng.random(n) < knobs.fault
    output = np.where(refused, np.minimum(tokens["output"], rng.integers(8, 60, n)), tokens["output"])
    status = np.where(fault & ~listing, 400, 200)
    finish = np.where(refused, _pick(rng, ("refusal", "content_filter")), np.where(output >= tokens["limit"], "length", "stop"))
    columns: dict[str, Column] = {
        "operation": [stint.work.op if not x else "list_models" for x in listing.tolist()],
        "model": [m if not x else "" for m, x in zip(names, listing.tolist(), strict=True)],
        "api_key_id": [stint.keys[i % len(stint.keys)] for i in key.tolist()],
        "conversation_id": [f"conv_{conversations[b]:x}" for b in burst.tolist()] if stint.work.turns > 1 else [None] * n,
        "client_address": [h[0] for h in hosts],
        "asn": [h[1] for h in hosts],
        "country": [h[2] for h in hosts],
        "user_agent": [stint.agents[i] for i in agent],
        "max_tokens": list(top),
        "temperature": list(heat),
        "choice_count": [knobs.choices] * n,
        "logprobs": [knobs.logprobs] * n,
        "stream": [knobs.stream] * n,
        "prompt": list(prompts),
        "input_tokens": tokens["input"].tolist(),
        "output_tokens": (output * (stint.work.op != "embeddings")).tolist(),
        "reasoning_tokens": thinks.astype(np.int64).tolist(),
        "cached_input_tokens": tokens["cached"].tolist(),
        "finish_reason": finish.tolist(),
        "status": status.tolist(),
        "error_type": ["invalid_request" if s == 400 else None for s in status.tolist()],
    }
    return times, columns


def _open(rng: Rng, town: Town, sort: Sort, rate: float, born: float) -> Account:
    """An account that does nothing yet; `born` in ms from T0."""
    main = "en" if rng.random() < 0.4 and "en" in town.library.languages else _pick(rng, town.library.languages)
    land = _pick(rng, LANDS.get(main, ("US",)))
    level = int(np.clip(np.searchsorted((25, 120, 500, 1500), rate * rng.lognormal(0, 0.8)), 0, 4))
    lost = rng.uniform(0, 0.25)
    gone = {"client_address", "country", "user_agent", "asn"} if sort.net == "gateway" or rng.random() < 0.06 else set()
    fields = tuple(f for f in FIELDS if f not in gone and rng.random() >= (0.02 if f == "prompt" else lost))
    keys = tuple(_ident(rng, "key") for _ in range(int(_pick(rng, (1, 1, 1, 2, 2, 3, 5, 8)))))
    agents = tuple(_pick(rng, AGENTS) for _ in range(int(_pick(rng, (1, 1, 1, 2, 3, 5)))))
    owner = int(rng.integers(town.owners))
    constants: dict[str, object] = {
        "organization_id": f"org_{owner * 7_368_787 % 0xFFFFFFF:07x}",
        "payment_fingerprint": f"pay_{(owner * 2_654_435_761 + 97) % 0xFFFFFFFF:08x}",
        "plan": tuple(PLANS)[level],
        "provider": _pick(rng, ("primary", "primary", "primary", "west", "partner")),
        "account_created_at_ms": T0 + int(born),
    }
    net = town.net(rng, sort.net if rng.random() < 0.7 else _pick(rng, tuple(NETS)), land)
    return Account(_ident(rng, "acct"), sort, main, land, tuple(PLANS)[level], born, keys, net, agents, constants, fields, [])


def _tongues(rng: Rng, town: Town, main: str, most: int, least: int = 0) -> tuple[str, ...]:
    others = [t for t in town.library.languages if t != main]
    count = int(rng.integers(min(least, len(others)), min(most, len(others)) + 1)) if most > 1 else 0
    return (main, *(others[int(i)] for i in rng.choice(len(others), size=count, replace=False)))


def _rate(rng: Rng) -> float:
    return float(np.clip(rng.lognormal(np.log(95), 1.25), 3, 4000))


def _settle(rng: Rng, town: Town, sort: Sort, rate: float, born: float, span: tuple[float, float]) -> Account:
    """An account with its ordinary life of `rate` requests a day."""
    who = _open(rng, town, sort, rate, born)
    tongues = _tongues(rng, town, who.main, sort.tongues)
    for work, share in zip(sort.works, rng.dirichlet(np.full(len(sort.works), 1.2)).tolist(), strict=True):
        who.stints.append(town.stint(rng, who, work, rate * share, tongues, span))
    return who


def _cut(stints: Iterable[Stint], at: float) -> tuple[list[Stint], list[Stint]]:
    stints = list(stints)
    before = [replace(s, end=min(s.end, at)) for s in stints if s.start < at]
    return before, [replace(s, start=max(s.start, at)) for s in stints if s.end > at]


class New(NamedTuple):
    """What a change brings: a model, network, keys, agents, wordings and outputs by payload, and how much more."""

    model: str
    net: Net
    keys: tuple[str, ...]
    agents: tuple[str, ...]
    voices: dict[Work, Voice]
    outputs: Floats
    times: float
    until: float


# change | days that it lasts (0: for good) | what becomes of a stint
CHANGES: dict[str, tuple[float, Callable[[Stint, New], Stint]]] = {
    "new product": (0, lambda s, _: s),
    "new model": (0, lambda s, new: replace(s, models=(new.model,))),
    "a second model": (0, lambda s, new: replace(s, models=(*s.models, new.model))),
    "new staff": (0, lambda s, new: replace(s, keys=s.keys + new.keys, agents=s.agents + new.agents, net=_joined(s.net, new.net))),
    "growth": (0, lambda s, new: replace(s, ramp=(s.start, new.until, 1.0, new.times), rate=min(s.rate, 4000 / new.times))),
    "new wording": (0, lambda s, new: replace(s, voice=new.voices[s.work])),
    "other answers": (0, lambda s, new: replace(s, outputs=new.outputs, voice=new.voices[s.work])),
    "other office": (0, lambda s, new: replace(s, net=new.net, agents=new.agents)),
    "travel": (4, lambda s, new: replace(s, net=new.net)),
    "new keys": (0, lambda s, new: replace(s, keys=new.keys)),
    "rush": (3, lambda s, new: replace(s, rate=min(s.rate * new.times * 1.5, 4000.0))),
    "bad release": (0.3, lambda s, new: replace(s, knobs=s.knobs._replace(fault=0.8), rate=s.rate * min(new.times, 4))),
    "pause": (5, lambda s, _: replace(s, rate=0.0)),
}


def _joined(one: Net, other: Net) -> Net:
    return Net(one.hosts + other.hosts, "each", 0)


def _change(rng: Rng, town: Town, who: Account, at: float) -> str:
    """Change an honest account from a time on; say how."""
    name = _pick(rng, tuple(CHANGES))
    days, become = CHANGES[name]
    before, after = _cut(who.stints, at)
    middle, rest = _cut(after, at + days * float(rng.uniform(0.1, 1)) * DAY if days else town.span)
    new = New(
        town.fresh if at >= town.release and rng.random() < 0.7 else _pick(rng, town.models),
        town.net(rng, _pick(rng, tuple(NETS)), _pick(rng, (who.land, *ASNS))),
        tuple(_ident(rng, "key") for _ in range(int(rng.integers(1, 8)))),
        tuple(_pick(rng, AGENTS) for _ in range(int(rng.integers(1, 4)))),
        {s.work: town.voice(rng, s.work, who.sort.trade, s.voice.tongues) for s in after},
        town.outputs(rng, _pick(rng, ("short", "mid", "long"))),
        _log_uniform(rng, 1.5, 10),
        at + float(rng.uniform(0, 1)) * (town.span - at),
    )
    who.stints = before + [s if "model" in name and s.work.op == "embeddings" else become(s, new) for s in middle] + rest
    if name == "new product":
        other, rate = _pick(rng, SORTS), sum(s.rate for s in after) * new.times / 3
        tongues = _tongues(rng, town, who.main, other.tongues)
        who.stints.append(town.stint(rng, who, other.works[0], min(rate, 3500.0), tongues, (at, float(town.span))))
    return name


def _honest(rng: Rng, town: Town, sort: Sort, rate: float, *, early: bool = False) -> tuple[Account, str]:
    """An honest account, some of them newcomers and some changing; and a word for it."""
    newcomer = not early and rng.random() < 0.15
    born = float(rng.uniform(0, 0.8)) * town.span if newcomer else -_log_uniform(rng, 1, 900) * DAY
    who = _settle(rng, town, sort, rate, born, (max(born, 0.0), float(town.span)))
    label = sort.name + (", newcomer" if newcomer else "")
    if rng.random() < 0.25:
        change = _change(rng, town, who, max(born, 0.0) + float(rng.uniform(0.15, 0.85)) * (town.span - max(born, 0.0)))
        label += f"; {change}"
    return who, label


class Plot(NamedTuple):
    """How strong and how careful (0 to 1) an attack is: requests, ms from T0, its share of the traffic meanwhile."""

    amount: int
    start: float
    end: float
    share: float
    care: float


def _plot(rng: Rng, days: int, *, old: bool) -> Plot:
    lasting = min(_log_uniform(rng, 0.5, 8), 0.75 * days)
    count = round(_log_uniform(rng, 200, 15_000))
    start = float(rng.uniform(min(0.2 * days, days - lasting) if old else 0.0, days - lasting)) * DAY
    share = 1.0 if not old and rng.random() < 0.2 else float(rng.uniform(0.05, 1))
    return Plot(count, start, start + lasting * DAY, share, float(rng.random()))


def _attacker(rng: Rng, town: Town, way: Way, *, old: bool) -> tuple[Account, str]:
    plot, sort = _plot(rng, town.days, old=old), _pick(rng, SORTS)
    wanted = plot.amount / _lasting(plot) * (1 / plot.share - 1)
    if old:
        rates = [_rate(rng) for _ in range(20)]
        rate = min(rates, key=lambda r: abs(np.log(r / max(wanted, 3.0))))
        who, label = _honest(rng, town, sort, rate, early=True)
        label = f"turned: {label}"
    else:
        lead = _pick(rng, (0.0, 0.02, 0.5, 2.0, 5.0)) * DAY
        begin = max(0.0, plot.start - lead * plot.care * 1.5)
        born = begin if rng.random() < 0.6 else -_log_uniform(rng, 1, 400) * DAY
        stop = float(_pick(rng, (town.span, min(plot.end + DAY, town.span), plot.end)))
        who = _settle(rng, town, sort, float(np.clip(wanted, 3, 4000)), born, (begin, stop))
        label = f"purpose-made: {sort.name}"
    base = list(who.stints)
    if not old and plot.share >= 1:
        who.stints = []
    who.stints += _attack(rng, town, who, way, plot, base)
    return who, f"{label} / {way.name}"


def _attack(rng: Rng, town: Town, who: Account, way: Way, plot: Plot, base: list[Stint]) -> list[Stint]:
    hints, own = way.hints.split(","), _pick(rng, base).work
    hours = [h for h in way.hours.split() if plot.care < 0.6 or h not in {"flat", "pace", "press"}] or way.hours.split()
    hour, mode = _pick(rng, hours), _pick(rng, way.nets.split())
    net = who.net if mode == "own" else town.net(rng, mode, who.land if rng.random() < 0.5 else _pick(rng, tuple(ASNS)))
    tongues = _tongues(rng, town, who.main, 9, 2) if "tongues" in hints else (_pick(rng, ("en", who.main)),)
    fill = float(rng.uniform(0.1, 0.5)) * plot.care if "fill" in hints or plot.care > 0.7 else 0.0
    works = [*way.works, Work("people", "bare", "own", "mid", 2)] if fill else list(way.works)
    shares = [*(rng.dirichlet(np.full(len(way.works), 1.2)) * (1 - fill)).tolist(), fill]
    stints = []
    for work, share in zip(works, shares, strict=False):
        count = round(plot.amount * share)
        if count:
            real = work._replace(when=own.when if hour == "own" else hour, wrap=own.wrap if work.wrap == "own" else work.wrap)
            stint = _hostile(rng, town, who, real, plot, hints)
            also = ("solve" if work.wrap == "own" else own.wrap) if "guise" in hints and rng.random() < 0.7 else ""
            spread = int(rng.integers(*(15, 50) if "wide" in hints else (1, 3) if "few" in hints else (3, 15)))
            voice = town.voice(rng, real, who.sort.trade, tongues, 1 + int(plot.care * rng.uniform(0, 14)), spread, also)
            stints.append(replace(stint, voice=replace(voice, whole=voice.whole and work.turns > 1), net=net, count=count, hostile=True))
    stints = _disguise(rng, town, stints, plot, hints)
    return [*stints, *(_prelude(rng, stints[0], plot) if "prelude" in hints else [])]


def _hostile(rng: Rng, town: Town, who: Account, work: Work, plot: Plot, hints: list[str]) -> Stint:
    stint = town.stint(rng, who, work, 0.0, (who.main,), (plot.start, plot.end))
    knobs, calm = stint.knobs._replace(sweep="sweep" in hints, spin="spin" in hints), 0.15 if plot.care > 0.6 else 1.0
    if "refuse" in hints:
        knobs = knobs._replace(refused=float(rng.uniform(0.2, 0.8)) * calm, fault=float(rng.uniform(0, 0.4)) * calm)
    if "lists" in hints:
        knobs = knobs._replace(lists=float(rng.uniform(0.003, 0.06)))
    if "cold" in hints and rng.random() < 0.7:
        knobs = knobs._replace(reuse=float(rng.uniform(0, 0.2)))
    keys = tuple(_ident(rng, "key") for _ in range(int(rng.integers(4, 30)))) if "keys" in hints else stint.keys
    agents = tuple(_pick(rng, AGENTS) for _ in range(int(rng.integers(1, 7)))) if "agents" in hints else stint.agents
    clump, gap, limit = stint.clump, stint.gap, PLANS[who.plan]
    if work.when == "press":
        clump, gap = min(limit * float(rng.uniform(1.1, 3)), 2500.0), 60 / (limit * float(rng.uniform(1.05, 2.5)))
    known = [s.models for s in who.stints if s.work.op != "embeddings"]
    usual = _pick(rng, known) if known and rng.random() < 0.6 else stint.models
    models = usual if rng.random() < 0.5 else (_pick(rng, (town.models[1], town.models[3], town.models[1])),)
    models = (town.fresh,) if plot.start > town.release and rng.random() < 0.4 else models
    ramp = (plot.start, plot.start + float(rng.uniform(0.3, 1)) * (plot.end - plot.start), 0.03, 1.0)
    ramp = ramp if plot.care > 0.5 and rng.random() < 0.7 else stint.ramp
    return replace(stint, knobs=knobs, models=models, ramp=ramp, keys=keys, agents=agents, clump=clump, gap=gap)


def _disguise(rng: Rng, town: Town, stints: list[Stint], plot: Plot, hints: list[str]) -> list[Stint]:
    """Move a pivot's traffic to another model within a day; everything else stays."""
    if "pivot" not in hints:
        return stints
    lasting = plot.end - plot.start
    inside = plot.start + 0.2 * lasting < town.release < plot.end - 0.3 * lasting
    at = town.release + float(rng.uniform(0.5, 20)) * HOUR if inside else plot.start + float(rng.uniform(0.3, 0.6)) * lasting
    at = min(at, plot.end - 0.1 * lasting)
    new = town.fresh if at >= town.release else _pick(rng, town.models[:2])
    old = _pick(rng, [m for m in town.models if m != new])
    moved = float(rng.uniform(0.5, 1))
    share = (at - plot.start) / lasting
    parts = []
    for s in stints:
        first = max(1, round(s.count * share))
        later = max(1, round((s.count - first) * moved))
        parts.append(replace(s, models=(old,), end=at, count=first))
        parts.append(replace(s, models=(new,), start=at, count=later))
        if s.count - first - later > 0:
            parts.append(replace(s, models=(old,), start=at, count=s.count - first - later))
    return parts


def _prelude(rng: Rng, stint: Stint, plot: Plot) -> list[Stint]:
    """What a thief tries first: which models there are, and whether the key works."""
    knobs = stint.knobs._replace(lists=float(rng.uniform(0.05, 0.5)), fault=float(rng.uniform(0, 0.7)), top=int(rng.integers(1, 4)))
    start, tries = max(0.0, plot.start - float(rng.uniform(0.1, 6)) * HOUR), int(_log_uniform(rng, 4, 80))
    return [replace(stint, knobs=knobs, count=tries, start=start, end=max(plot.start, start + HOUR), ramp=(0.0, 1.0, 1.0, 1.0))]


def _troubles(rng: Rng, town: Town, who: Account, times: Ints, status: Ints) -> tuple[NDArray[np.str_], Ints, NDArray[np.bool_]]:
    """Errors by plan, outage and chance: their names, statuses, and who tries the same again."""
    n = times.size
    error = np.where(status == 400, "invalid_request", "").astype("<U16")
    chance, which = rng.random(n) < 0.005, rng.integers(3, size=n)
    minute = times // 60_000
    rank = np.arange(n) - np.searchsorted(minute, minute)
    over = rank >= PLANS[who.plan] * town.source.limits
    down = (times >= town.outage[0]) & (times < town.outage[1]) & (rng.random(n) < 0.6)
    for mask, code, name in (
        (chance & (which == 0), 500, "server_error"),
        (chance & (which == 1), 504, "timeout"),
        (chance & (which == 2), 400, "invalid_request"),
        (down, 503, "overloaded"),
        (over, 429, "rate_limited"),
    ):
        status, error = np.where(mask, code, status), np.where(mask, name, error)
    again = np.isin(status, (429, 500, 503, 504)) & (rng.random(n) < float(_pick(rng, (0.2, 0.7, 0.95))))
    return error, status, again


def _repeat(columns: dict[str, Column], again: NDArray[np.bool_], part: Ints) -> None:
    prompts = columns["prompt"]
    for i in np.flatnonzero(again[:-1] & (part[1:] == part[:-1])).tolist():
        for name in ("model", "input_tokens", "operation"):
            columns[name][i + 1] = columns[name][i]
        prompts[i + 1] = prompts[i]


def _finish(columns: dict[str, Column], error: NDArray[np.str_], status: Ints) -> None:
    columns["status"] = status.tolist()
    columns["error_type"] = [e or None for e in error.tolist()]
    listing = [o == "list_models" for o in columns["operation"]]
    failed = (status >= 400).tolist()
    for name, empty in (("output_tokens", 0), ("reasoning_tokens", 0), ("cached_input_tokens", 0), ("finish_reason", None)):
        columns[name] = [empty if f or x else v for v, f, x in zip(columns[name], failed, listing, strict=True)]
    for name in ("prompt", "input_tokens", "max_tokens", "temperature", "choice_count", "logprobs", "conversation_id"):
        columns[name] = [None if x else v for v, x in zip(columns[name], listing, strict=True)]


def _emit(rng: Rng, town: Town, who: Account) -> tuple[Ints, list[bytes], NDArray[np.bool_]]:
    """All requests of an account as JSON, in order of time, and which are hostile."""
    rendered = [(*_render(rng, town, s), s.hostile) for s in who.stints]
    rendered = [r for r in rendered if r[0].size]
    if not rendered:
        return np.zeros(0, np.int64), [], np.zeros(0, np.bool_)
    times = np.concatenate([r[0] for r in rendered])
    order = np.argsort(times, kind="stable")
    part = np.repeat(np.arange(len(rendered)), [r[0].size for r in rendered])[order]
    hostile = np.array([r[2] for r in rendered])[part]
    times, index = times[order], order.tolist()
    columns: dict[str, Column] = {}
    for name in rendered[0][1]:
        whole = [v for r in rendered for v in r[1][name]]
        columns[name] = [whole[i] for i in index]
    error, status, again = _troubles(rng, town, who, times, np.array(columns["status"], np.int64))
    _repeat(columns, again, part)
    _finish(columns, error, status)
    n = times.size
    wait = rng.lognormal(6, 0.5, n) + np.array(columns["output_tokens"], np.float64) * rng.uniform(6, 30)
    columns |= {name: [value] * n for name, value in who.constants.items()}
    columns["latency_ms"] = wait.round(1).tolist()
    columns["event_id"] = [f"req_{i:016x}" for i in rng.integers(1 << 62, size=n).tolist()]
    columns["occurred_at_ms"], columns["account_id"] = (times + T0).tolist(), [who.name] * n
    names = ("event_id", "occurred_at_ms", "account_id", "operation", "model", "status", *who.fields)
    dumps = orjson.dumps
    return times, [dumps(dict(zip(names, row, strict=True))) for row in zip(*(columns[c] for c in names), strict=True)], hostile


def _cast(rng: Rng, attackers: int) -> list[tuple[Way, bool]]:
    """Ways of attacking, every kind in turn, and which half have an honest life; stolen accounts first among them."""
    kinds = [KINDS[int(i)] for _ in range(attackers // len(KINDS) + 1) for i in rng.permutation(len(KINDS))][:attackers]
    ways = [_pick(rng, [w for w in WAYS if w.kind == kind]) for kind in kinds]
    order = sorted(range(attackers), key=lambda i: (kinds[i] != "credential_theft", float(rng.random())))
    old = set(order[: (attackers + 1) // 2])
    return [(way, i in old) for i, way in enumerate(ways)]


def world(seed: int, source: Marginals, split: Split, customers: int, days: int) -> World:
    """Return `customers` honest accounts and a quarter as many attackers over so many days from 2026-03-02 on."""
    town = Town(seed, source, split, customers, days)
    rng = np.random.default_rng([seed, 2])
    deal = [int(i) for _ in range(customers // len(SORTS) + 1) for i in rng.permutation(len(SORTS))]
    cast = _cast(rng, max(1, round(customers / 4)))
    attackers: dict[str, str] = {}
    sorts: dict[str, str] = {}
    times, events, hostile = [], [], []
    for i in range(customers + len(cast)):
        own = np.random.default_rng([seed, 3, i])
        if i < customers:
            who, label = _honest(own, town, SORTS[deal[i]], _rate(own))
        else:
            way, old = cast[i - customers]
            who, label = _attacker(own, town, way, old=old)
            attackers[who.name] = way.kind
        at, lines, bad = _emit(own, town, who)
        sorts[who.name] = label
        times.append(at)
        events += lines
        hostile.append(bad)
    order = np.argsort(np.concatenate(times), kind="stable")
    return World([events[i] for i in order.tolist()], np.concatenate(hostile)[order], attackers, sorts)
