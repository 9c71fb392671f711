"""What a person means by words written to the bot: small rules in four languages, pure and explainable.

A sentence is a command only when every word of it belongs to that command ("please stop writing to me"), so that "stop
asking for the amount twice" stays what it is: feedback. Whoever wants silence gets it: "stop" and "pause" survive typos,
courtesy and a sentence of anger after them, and win over everything else in the same message.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

STOP = "stop"
PAUSE = "pause"
PAUSE_UNTIL_WHEN = "pause-until-when"
"""A pause until a day that cannot be read, or that is past."""
RESUME = "resume"
DELETE = "delete"
DELETE_ALL = "delete-all"
HELP = "help"
WHY = "why"
ME = "me"
GOAL = "goal"
PRIVACY = "privacy"
"""Who sees what, and what it is used for."""
REMIND = "remind"
LATER = "later"
"""Not now, without a day."""
DONE = "done"
THANKS = "thanks"
ALL_RIGHT = "all-right"
"""Read and understood: "ok". It asks for nothing, and thanks for nothing."""
GREETING = "greeting"
QUESTION = "question"
FEEDBACK = "feedback"
NOTHING = "nothing"
"""No words at all: a file, a sticker, blanks."""
INTENTS = (
    STOP,
    PAUSE,
    PAUSE_UNTIL_WHEN,
    RESUME,
    DELETE,
    DELETE_ALL,
    HELP,
    WHY,
    ME,
    GOAL,
    PRIVACY,
    REMIND,
    LATER,
    DONE,
    THANKS,
    ALL_RIGHT,
    GREETING,
    QUESTION,
    FEEDBACK,
    NOTHING,
)
LONGEST_COMMAND = 12
"""Words. A longer sentence is no command."""
LONGEST_PAUSE = timedelta(days=366)
USUAL_PAUSE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Intent:
    """``until``: for PAUSE the local day on which messages may come again, for REMIND the one on which to remind; None when
    no day was named.
    """

    kind: str
    until: date | None = None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POLITE = _words(
    """please pls plz kindly just now hey hi hello ok okay yes no yeah sorry thanks thank fullsteam bot right immediately
    again at once really can could would will you u i we im said told i'm want need like to the a an it this that so just finally for
    good ever all of any and now already from with be is are do dont don't me my mine
    bitte jetzt sofort mal doch endlich danke ja nein hallo du kannst konntest ich will mochte mir mich das die der den
    es damit nun einfach ganz alle auf mit zu dir euch ihr wir sie
    svp stp sil te vous plait merci maintenant oui non bonjour tu peux pouvez je veux voudrais moi ca cela ce ces cette
    c de d me m le la les l des tout s il immediatement un une en aux au vos tes
    por favor ahora ya gracias si hola puedes podrias quiero me mi el los las lo esto eso ese esta un una de que a al"""
)
_STOP_VERBS = _words(
    """stop stopp stoppe stoppen halt unsubscribe optout cancel quit
    aufhoren abmelden abbestellen hor
    arrete arretez arreter stopper desabonner desabonne desinscrire desinscrivez cesse cessez
    para parar pare basta detente alto detener cancelar"""
)
_WEAK_STOPS = _words("enough end genug schluss assez suffit")
"""Stops only when next to nothing else is said: "good enough" is none."""
_BESIDE_WEAK_STOPS = _words(
    "please pls now just that thats is its it ok already jetzt bitte das ist ca c est svp merci now"
)
_STOP_THINGS = _words(
    """message messages messaging messaged msg msgs msging write writing send sending sends text texting spam spamming bother bothering
    bugging annoying nag nagging contact contacting notify notifying notification notifications ping pinging pings dm dms
    tip tips nudge nudges reminder reminders sent everything forever dming bot talking emails tipps your these those out
    nachrichten nachricht schreiben schreib schicken senden nerven auf hore tipp erinnerungen
    ecrire envoyer envoyez messages conseils notifications rappels embeter deranger harceler contacter
    mensajes mensaje escribir escribirme enviar enviarme mandar mandarme molestar molestarme consejos notificaciones
    avisos darme ya todo con estos tus"""
)
_STOP_PHRASES = tuple(
    re.compile(rf"^(?:{phrase})$")
    for phrase in (
        r"(please )?(just )?leave me (alone|in peace)( please| now)?",
        r"(please )?opt( me)? out( please)?",
        r"(please )?(no|not any) more( (messages|tips|notes|nudges|dms|of (this|these)))?( please| thanks)?",
        (
            r"(please )?(do not|dont) (message|write|contact|text|dm|bother|ping|send)"
            r"( to)?( me)?( any more)?( (messages|tips|anything|stuff|this|these))?( again| any ?more| ever again| please)*"
        ),
        r"i do(nt| not) want (this|these|any|any more|your)?( (messages|tips|notes|nudges))?( any ?more| please)*",
        r"(please )?(shut up|go away|piss off|fuck off|get lost|take me off( (this|the|your))?( list)?)( now| please)?",
        r"(please )?(remove|take) me( from)?( off)?( (this|the|your))?( list)?( please)?",
        r"(please )?(turn|switch) (it|this|that|yourself|the bot|these|tips) off( please)?",
        r"(please )?(turn|switch) off( (it|this|that|the bot|these|tips|messages|notifications|reminders|all|your))*( please)?",
        r"(bitte )?lass(t|en sie)? mich (bitte )?in (ruhe|frieden)( bitte)?",
        r"(bitte )?(schreib|schick|sende)( mir)?( bitte)?( nichts| nicht)( mehr)?( bitte)?",
        r"(bitte )?keine( weiteren)? (nachrichten|tipps|mails|erinnerungen)( mehr)?( (bitte|senden|schicken|schreiben|danke))*",
        r"(bitte )?hort?( bitte| endlich| jetzt)* auf( (bitte|damit|mit (den|diesen|euren|deinen) (nachrichten|tipps|mails)))*",
        r"(bitte )?lass(t)? (es|das)( bitte| sein| bleiben)*",
        r"(please )?stop( it| this)?( now)? or i .*",
        r"ich (will|mochte)( das| die| deine| keine)?( nachrichten| tipps)?( nicht)? mehr",
        r"(svp |stp )?laisse[zs]?( |-)moi tranquille( svp| stp)?",
        r"(svp )?(plus (de|aucun) messages?|pas de messages?)( svp| stp| merci| s ?il te plait| s ?il vous plait)?",
        r"je (ne )?veux plus( recevoir)?( (de|vos|tes|ces|aucun))?( (messages?|conseils|rappels|notifications|ca))?( svp| stp| merci)?",
        r"ne m ?(ecris|ecrivez|envoie|envoyez|contacte|contactez)( moi)? (plus|pas)( rien| de messages?)?",
        r"(por favor )?dejame( en paz| tranquilo| tranquila)?( por favor)?",
        r"(por favor )?deja(me)? de (escribir(me)?|enviar(me)?|mandar(me)?|molestar(me)?)( mas)?( mensajes| consejos)?( por favor)?",
        r"(por favor )?no (quiero )?mas( mensajes| consejos| avisos)?( por favor| gracias)?",
        r"(por favor )?no me (escribas|mandes|envies|molestes)( mas)?( mensajes)?( por favor)?",
    )
)
_PAUSE_VERBS = _words(
    """pause paused pausing snooze mute silence quiet hush break
    pausiere pausieren stumm ruhe stummschalten
    pauser pausez silencieux
    pausa pausar pausalo silencia silenciar silencio"""
)
_BEFORE_A_PAUSE = _words("please pls bitte mal svp stp me it fullsteam messages tips")
_AWAY = _words(
    """away vacation holiday holidays leave ooo pto out office sick
    urlaub abwesend krank weg vacances conge absent absente malade vacaciones ausente"""
)
_TIME = _words(
    """until till til for next this week weeks day days month months tomorrow today morning back on in off from take taking
    have having give couple few one two three four five six ten a an while bit time some am going we this monday tuesday wednesday
    thursday friday saturday sunday mon tue wed thu fri january february march april may june july august september october
    november december jan feb mar apr jun jul aug sep sept oct nov dec st nd rd th it them tips messages everything
    bis fur nachste nachsten nachster kommenden woche wochen tag tage tagen monat monate monaten morgen heute eine einen
    einer zwei drei vier bin im mach machen montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar
    marz mai juni juli oktober dezember zum ende nachrichten tipps lang
    jusqu jusqua jusquau au a pour semaine semaines jour jours mois prochaine prochain demain aujourd hui mets mettez
    mettre fais faire une deux trois lundi mardi mercredi jeudi vendredi samedi dimanche janvier fevrier mars avril juin
    juillet aout septembre octobre novembre decembre suis pendant
    hasta para por proxima proximo semana semanas dia dias mes meses manana hoy dos tres lunes martes miercoles jueves
    viernes sabado domingo enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    pon ponlo ponme poner haz hacer estoy estare durante en"""
)
_RESUME = _words(
    """resume start restart continue unpause unmute unstop subscribe resubscribe go on back
    weiter weitermachen mach machen fortsetzen starten starte wieder anfangen fortfahren
    reprendre reprends reprenez continuer continue redemarrer recommence recommencer
    reanudar reanuda seguir sigue continuar continua empieza empezar reiniciar"""
)
_RESUME_KEYS = _RESUME - _words("go on back wieder mach machen")
_RESUME_THINGS = _words(
    "messages message sending messaging writing tips nudges nachrichten tipps schicken mir mit envoyer les des conseils"
    " mensajes consejos enviar los again im i'm"
)
_DELETE_VERBS = _words(
    """delete deleted erase remove forget undo discard retract unsend scratch
    losch losche loschen vergiss vergessen entferne entfernen widerrufe
    supprime supprimer supprimez efface effacer effacez oublie oubliez annule
    borra borralo borrar borre elimina eliminar eliminalo olvida olvidalo olvidar"""
)
_DELETE_THINGS = _words(
    """that this it what said wrote written told last message feedback answer reply comment words note previous one thing
    please i've ive have just sent mon ma mes mein meine mi
    das dies diese letzte letzten nachricht gesagt geschrieben habe hab was antwort kommentar ruckmeldung wieder
    ca cela dernier derniere message reponse commentaire ai dit ecrit ce que j
    eso esto ultimo ultima mensaje respuesta comentario dicho escrito lo he dije escribi"""
)
_ALL = _words("all everything alles alle tout toutes tous todo todos todas")
"""Beside a deletion: all of it. "Tout de suite" is at once, and French, so one of these words beside it decides."""
_ALL_THINGS = _words(
    "of them messages notes words feedback nachrichten worte messages mots mensajes palabras ever suite"
)
_AT_ONCE = re.compile(r"\b(all at once|tout de suite|all good|all right)\b")
_HELP = _words(
    "help hilfe aide ayuda commands command befehle commandes comandos menu options info ayudame helfen aidez aider"
)
_HELP_PHRASES = tuple(
    re.compile(rf"^(?:{phrase})$")
    for phrase in (
        r"what can (i|we) (do|say|ask|write)( here| with you| you)*",
        r"(what|who) (can you do|are you|is this|do you do|are your commands)( for me| exactly)?",
        r"how (does this|do you|does it|does the bot) work",
        r"(was|wer) (kannst du|bist du|machst du|ist das)( alles| eigentlich| so)?",
        r"wie (funktioniert|geht) (das|dies|der bot)( hier)?",
        r"(que (peux tu|sais tu) faire|qui es tu|comment ca marche|tu peux faire quoi|cest quoi)",
        r"(que puedes hacer|quien eres|como funciona( esto)?|que es esto)",
    )
)
_WHY_WORDS = ("why", "warum", "wieso", "weshalb", "pourquoi", "how come", "por que", "porque")
_WHY_THINGS = _words(
    """why warum wieso weshalb pourquoi how come por que porque did do does are am is you i me this that these those the
    message messages messaged messaging write writing wrote send sending sent get getting got receive receiving received
    contact contacting contacted tip tips nudge nudges bother bothering see seeing being told telling exactly bot have was
    to my now
    schreibst schreibt schickst bekomme kriege erhalte du ich mir mich das diese nachricht nachrichten tipp den die dies
    hast geschrieben geschickt denn eigentlich
    m ecris ecrivez envoies envoyez tu vous je recois ce ces cet cette message messages ca me moi est suis pour
    escribes escribe mandas envias recibo este mensaje mensajes esto eso tu yo los estos me has escrito"""
)
_ME_PHRASES = tuple(
    re.compile(phrase)
    for phrase in (
        (
            r"^(so |and |please |hey )*(what|which|how much)( all)?( data| info| information| things)?"
            r"( exactly)?( do| did| does| have| has)? (you|u|it|fullsteam|the bot)( actually| even)? "
            r"(know|knows|store|stores|got|have|has|hold|keep|collect|save|track)\b.*\b(me|mine|i)( please| now)?$"
        ),
        r"^(show|give|send|delete|erase|export|see|download)( me)?( please)? (all )?(of )?my (data|information|info)( please)?$",
        r"^(my|meine|mes|mis) (data|info|information|daten|donnees|datos)( please| bitte| svp| por favor)?$",
        r"^(erase|delete|forget) me( please)?$",
        r"\bwas (weisst|weist|wei(ss)?t|speicherst|hast)\b.*\b(mich|mir)\b",
        r"\bwelche daten\b.*\b(du|mich|mir)\b",
        r"\b(que|quest ce que|quoi)\b.*\bsa(is|vez)\b.*\bmoi\b",
        r"\bquelles donnees\b.*\bmoi\b",
        r"\bque\b.*\bsab(es|e)\b.*\bmi\b",
        r"\bque datos\b.*\b(mi|mios)\b",
    )
)
_ME_WORDS = _words("me ich moi yo")
_PRIVACY_PHRASES = tuple(
    re.compile(phrase)
    for phrase in (
        (
            r"^(so |and |but |ok |hey )*who( else| all| exactly)*( can| could| will| may| does| do| is able to| has| gets)?( to)?"
            r"( actually| also)? (see|sees|read|reads|view|views|access to|know|knows|look at|looks at|reading|seeing)\b"
            r"( all)?( of)? (this|that|it|these|those|me|my|what i|the things i)\b"
        ),
        r"^(is|will|does|do|can|could|would)\b.*\b(review|appraisal|performance rating|hr|personnel file|bonus|promotion)\b",
        (
            r"^(is|will|does|do|can|could|would) (you|my (boss|manager|team|lead|colleagues)|anyone|anybody|someone|somebody|others"
            r"|management|people)\b.*\b(see|read|told?|know|report|shared?|private|confidential|anonymous"
            r"|track(ed|ing)?|monitor(ed|ing)?|spy(ing)?|watch(ed|ing)?)\b.*\b(this|that|it|me|my|i|you|private|confidential|anonymous)\b"
        ),
        r"^(is|are) (this|it|that|my (words|answers|data|numbers)) (private|confidential|anonymous|safe|tracked|monitored|shared)\b",
        r"^are you (spying|tracking|monitoring|watching|reporting)\b",
        r"^(my )?privacy( policy)?$|^data protection$|^(meine )?(privatsphare|datenschutz)$|^(vie privee|confidentialite|privacidad)$",
        (
            r"^(und |aber )?wer( alles| sonst| noch)*( kann| darf| konnte)?\b.*\b(das|dies|es|mich|meine?n?|was ich)\b.*"
            r"\b(sehen|sieht|lesen|liest|einsehen|mitlesen)\b"
        ),
        r"^(und |aber )?wer (sieht|liest|erfahrt)( alles| sonst| noch)* (das|dies|es|mich|meine?n?|was ich|davon)\b",
        r"^(ist|kommt|geht|wird|fliesst|landet|steht|sieht|erfahrt|liest)\b.*\b(beurteilung|mitarbeitergesprach|bewertung|personalakte|chef|chefin|vorgesetzte[rn]?)\b",
        r"^(et |mais )?qui (d autre )?(peut |va |pourra )?(voir|voit|lire|lit|vois)\b.*\b(ca|cela|ceci|mes|mon|ma|ce que)\b",
        r"^(et |mais )?qui (voit|lit|a acces)\b",
        r"^(est ce|ce sera|cela|ca|mon|ma)\b.*\b(evaluation|entretien annuel|chef|manager|responsable)\b.*",
        r"^(y )?quien( mas)?( puede| va a)? (ve|ver|lee|leer|vera)\b",
        r"^(esto|lo|se|va a|mi|estara)\b.*\b(evaluacion|jefe|jefa)\b",
    )
)
"""About what we keep and show, asked as a question; about the records of the CRM ("who can see my deals") it is none."""
_OF_THE_CRM = re.compile(
    r"\b(fields?|records?|excel|deals?|accounts?|pipeline|opportunit\w*|leads?|contacts?|cases?|dashboards?|reports?|forecasts?|customers?|kunden?"
    r"|kontakte?|berichte?|clients?|comptes?|affaires?|cuentas?|clientes?|informes?|oportunidades)\b"
)
_REMIND = re.compile(
    r"^(ok |yes |please |pls |and |can you |could you |would you |bitte |ja |kannst du |s il te plait |por favor |peux tu )*"
    r"(remind me|remind|reminder|set a reminder|erinnere? mich|erinner mich|mich erinnern|rappelle moi|rappelez moi|me rappeler"
    r"|recuerdame|recuerdamelo|me recuerdas)\b"
)
_REMIND_THINGS = _words(
    """remind me reminder set please pls about of this that it again ok yes can could you would and then later thanks
    erinnere erinner mich erinnern bitte daran noch einmal wieder spater ja kannst du nochmal danke
    rappelle rappelez rappeler moi s il te plait de ca cela plus tard peux tu merci
    recuerdame recuerdamelo recuerdas por favor de esto luego mas tarde gracias"""
)
_LATER = tuple(
    re.compile(rf"^(?:{phrase})$")
    for phrase in (
        r"(sorry |please |ok |maybe |perhaps )*(not (right )?now|later|not yet|not today|some other time|another time|no time( now| today| right now)?)( please| thanks| sorry| today)*",
        r"(i am |im )?(too )?busy( (right )?now| today)?( sorry)?",
        r"(ill|i will) do (it|this|that) later( today)?",
        r"(sorry |bitte |ok |vielleicht )*(nicht jetzt|jetzt nicht|gerade nicht|spater|noch nicht|heute nicht|ein andermal|(jetzt )?keine zeit( jetzt| gerade)?)( bitte| danke| sorry)*",
        r"(pas maintenant|plus tard|pas (encore|aujourd hui)|une autre fois|pas le temps)( svp| stp| merci| desolee?)*",
        r"(ahora no|no ahora|mas tarde|luego|despues|todavia no|hoy no|en otro momento)( por favor| gracias)*",
    )
)
_DONE = tuple(
    re.compile(rf"^(?:{phrase})$")
    for phrase in (
        r"(ok |yes |all |its |it is |thats |that is )*(done|fixed|updated|sorted|completed|finished)( (it|that|this|them|all|now|already|both|thanks|thank you))*",
        (
            r"(ok |yes )*(i |ive |i have |just |have )+(just |now |already )*(done|did|fixed|updated|sorted|changed|completed|corrected|closed|filled in)"
            r"( (it|that|this|them|these|those|all|both|the|my|close|date|dates|deal|deals|amount|amounts|next|step|steps|now|already|thanks|thank you|of|in))*"
        ),
        r"(ok |ja |ist |schon |alles |hab(e)? ich |ich hab(e)? )*(es |das |sie |alle |beide )*(schon |jetzt )*(erledigt|gemacht|fertig|aktualisiert|geandert|angepasst|nachgetragen)( danke)?",
        r"(ok |oui )*(c est |voila )*(fait|termine|fini|mis a jour|corrige)( merci)?|(je l ai|j ai tout) (fait|mis a jour|corrige)( merci)?",
        r"(ok |si |ya |ya esta |esta )*(hecho|listo|terminado|actualizado|corregido)( gracias)?|(ya )?lo he (hecho|actualizado|corregido)( gracias)?",
    )
)
_GOAL_PHRASES = tuple(
    re.compile(rf"^(?:{phrase})$")
    for phrase in (
        r"(please )?(my |the |change |choose |set |pick |switch |i want to )*(my |another |a |a new |new |different )?goals?( please)?",
        r"(please )?((change|set|switch) )?(my )?(new )?goal( is| to| should be| now)*( to)? (hit my targets?|save time|grow my skills?|saving time|skills|targets)( please| now)?",
        r"(i would rather |id rather |i want to |i would like to )?(hit my targets|save time|grow my skills)( please| instead)?",
        r"(bitte )?(mein |mein neues |neues |anderes )?ziel( andern| wahlen| wechseln| bitte)*( ist| soll sein)?( (meine ziele (zu )?erreichen|zeit (zu )?sparen|besser (zu )?werden))?",
        r"(bitte )?(ich will |ich mochte )?(mein ziel |ein anderes ziel )(andern|wahlen|wechseln)",
        r"(ich (will|mochte) )?(lieber )?(meine ziele erreichen|zeit sparen|besser werden)",
        r"(mon objectif|changer (mon |d )?objectif|objectif)( est)?( de)?( gagner du temps)?",
        r"(mi objetivo|cambiar (mi )?objetivo|objetivo)( es)?( ahorrar tiempo)?",
    )
)
"""Asking for the choice of a goal again; the labels of its buttons, typed, count as asking."""
_THANKS_KEYS = _words(
    """thanks thank thx thanx tx ty tysm cheers ta appreciated appreciate
    danke dankeschon merci gracias vielen dank dankesehr
    great perfect nice cool one useful handy awesome super prima toll top parfait genial perfecto excelente lovely brilliant wonderful
    ok okay k got noted done helpful understood alright fine kudos
    verstanden alles klar entendu daccord entendido vale bien recu hecho erledigt"""
)
_THANKS_THINGS = _words(
    """thats that this was so very much a lot many really you for the tip tips your help it will do got ya mate all good i
    did is to know have helped helps me useful handy actually really again one indeed quite just what needed reminder heads up message
    sehr das war fur den die tipp hilfe schon viele gut gemacht hat geholfen mir ist
    beaucoup bien pour le la ton votre conseil aide c est ca
    muchas mil por la el tu consejo ayuda muy bueno de nada"""
)
_ALL_RIGHT_KEYS = _words(
    """ok okay k okey noted understood alright fine got gotcha sure right roger yes yep yeah
    verstanden alles klar gut ja passt in ordnung einverstanden jawohl
    entendu daccord compris oui d accord vale entendido si bien claro de acuerdo recu"""
)
_ALL_RIGHT_THINGS = _words("it all thats that is good will do then then's so c est bon das das")
_GREETINGS = _words(
    """hi hello hey hiya yo howdy morning afternoon evening there good bot fullsteam team
    hallo moin servus guten gruss gott tag abend morgen na
    bonjour salut coucou bonsoir hola buenos buenas dias tardes noches que tal"""
)
_GREETING_KEYS = _GREETINGS - _words("there good bot fullsteam team guten gott na que")
_QUESTION_STARTS = re.compile(
    r"^(how (do|can|to|does|should|would|is|are|long|many|much|often|come)|what (is|are|does|do|if|about|happens|should)"
    r"|where (is|are|can|do)|when (is|are|do|does|will|can)|who (is|can|do|does|owns)|which |whats |wheres |hows |whos "
    r"|can (i|we|you|someone|anyone)|could (i|we|you)|do (i|we|you)|does (it|the|this|anyone)|is (there|it|this)|are there"
    r"|should (i|we)|may i|why |wie |was (ist|bedeutet|mache|passiert|muss)|wo |wann |wer |warum |kann (ich|man)|darf ich"
    r"|gibt es|muss ich|wieso |comment |ou (est|se|sont|puis|trouver)|quand |qui |pourquoi |est ce que |puis je|peut on"
    r"|dois je|y a t il|quel |quelle |como |donde |cuando |quien |por que |puedo |se puede|hay |debo |cual |que (es|significa))"
)
_GOOD_EMOJI = frozenset("👍🙏👌🎉😀😃😄🙂😊❤💪✅🥳🤩👏💯")
_GOOD_NAMES = frozenset(
    [
        "+1",
        "thumbsup",
        "pray",
        "ok_hand",
        "tada",
        "smile",
        "slightly_smiling_face",
        "heart",
        "muscle",
        "white_check_mark",
        "clap",
        "100",
    ]
)
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday mon montag lundi lunes",
            "tuesday tue tues dienstag mardi martes",
            "wednesday wed mittwoch mercredi miercoles",
            "thursday thu thurs donnerstag jeudi jueves",
            "friday fri freitag vendredi viernes",
            "saturday sat samstag sonnabend samedi sabado",
            "sunday sun sonntag dimanche domingo",
        )
    )
    for name in names.split()
}
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero",
            "february feb februar fevrier febrero",
            "march mar marz mars marzo",
            "april apr avril abril",
            "may mai mayo",
            "june jun juni juin junio",
            "july jul juli juillet julio",
            "august aug aout agosto",
            "september sep sept septembre septiembre",
            "october oct oktober octobre octubre",
            "november nov novembre noviembre",
            "december dec dezember decembre diciembre",
        ),
        1,
    )
    for name in names.split()
}
_NUMBERS = {
    word: number
    for number, words in enumerate(
        (
            "a an one ein eine einen einer un une una",
            "two couple zwei deux dos",
            "three few drei trois tres",
            "four vier quatre cuatro",
            "five funf cinq cinco",
            "six sechs seis",
            "seven sieben sept siete",
            "eight acht huit ocho",
            "nine neun neuf nueve",
            "ten zehn dix diez",
        ),
        1,
    )
    for word in words.split()
}
_DAYS = _words("day days tag tage tagen jour jours dia dias")
_WEEKS = _words("week weeks woche wochen semaine semaines semana semanas")
_MONTH_WORDS = _words("month months monat monate monaten mois mes meses")
_NEXT = _words("next this nachste nachsten nachster kommenden prochaine prochain proxima proximo")
_TOMORROW = _words("tomorrow demain manana")
_UNTIL = _words("until till til bis jusqu jusqua jusquau hasta")
_NO_TYPO = _words("step shop top stow slop stoep cause paste pauses used house clause stock hat hast salt")
"""Words one letter away from a command that mean something else."""


def fold(text: str) -> str:
    """Small letters without accents, marks, mentions, links and emoji; words divided by single spaces."""
    text = html.unescape(text)
    text = re.sub(r"<[@#!][^>]*>|<(?:https?|mailto|tel):[^>]*>|https?://\S+", " ", text)
    text = re.sub(r":[a-z0-9_+'-]+:", " ", text)
    text = "".join(
        char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char)
    )
    text = re.sub(r"[’‘´`]", "'", text)
    text = re.sub(r"\b(c|d|j|l|m|n|s|t|qu|jusqu)'", r"\1 ", text)  # French elision: two words
    text = text.replace("'", "")
    return " ".join(re.findall(r"\w+", text.replace("_", " ")))


def _sentences(text: str) -> list[str]:
    """Folded sentences and lines. Only the first 2,000 characters: nobody hides a command in the middle of a novel."""
    return [folded for part in re.split(r"[.!?;\n\r…]+", text[:2000]) if (folded := fold(part))]


def _near(word: str, target: str) -> bool:
    """At most one slip of the finger apart: a letter too many, too few, wrong, or two swapped."""
    if abs(len(word) - len(target)) > 1 or word == target:
        return word == target
    if len(word) == len(target):
        wrong = [at for at, (a, b) in enumerate(zip(word, target, strict=True)) if a != b]
        swapped = (
            len(wrong) == 2
            and wrong[1] == wrong[0] + 1
            and word[wrong[0]] == target[wrong[1]]
            and word[wrong[1]] == target[wrong[0]]
        )
        return len(wrong) <= 1 or swapped
    short, long = sorted((word, target), key=len)
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))


def _repair(words: Sequence[str], targets: Sequence[str]) -> list[str]:
    """Words with typing slips in a command's key word put right: "stpo", "stooop", "puase"."""
    repaired = []
    for word in words:
        plain = re.sub(r"(.)\1{2,}", r"\1", word)
        known = plain in _NO_TYPO or len(plain) < 4
        match = None if known else next((t for t in targets if len(t) >= 4 and _near(plain, t)), None)
        repaired.append(match or plain)
    return repaired


def _all_in(words: Sequence[str], keys: frozenset[str], *allowed: frozenset[str]) -> bool:
    """Whether a sentence consists of nothing but this command: a key word, and otherwise words that belong to it."""
    vocabulary = keys.union(*allowed)
    return (
        0 < len(words) <= LONGEST_COMMAND
        and any(word in keys for word in words)
        and all(word in vocabulary or word.isdigit() for word in words)
    )


_NEGATIONS = _words("cant cannot wont dont don't not never nicht kein pas nunca")


def _is_stop(sentence: str) -> bool:
    words = sentence.split()
    if any(phrase.match(sentence) for phrase in _STOP_PHRASES):
        return True
    if _all_in(words, _WEAK_STOPS, _BESIDE_WEAK_STOPS):
        return True
    fixed = (
        _repair(words, ("stop", "arrete", "unsubscribe", "aufhoren", "basta")) if len(words) <= 4 else words
    )
    if not _all_in(fixed, _STOP_VERBS, _STOP_THINGS, _POLITE) or any(word in _NEGATIONS for word in fixed):
        return False
    # "para" is also Spanish for "for": alone, or before what is to stop, it is the verb.
    keys = [word for word in fixed if word in _STOP_VERBS]
    return keys != ["para"] or fixed[0] == "para" or len(fixed) <= 2 or fixed[-1] == "para"


def _is_pause(sentence: str) -> bool:
    words = sentence.split()
    fixed = _repair(words, ("pause", "snooze", "pausiere", "pausa"))
    if any(word in _NEGATIONS for word in fixed):
        return False
    if _all_in(fixed, _PAUSE_VERBS, _TIME, _POLITE, _AWAY, _words("these your notes nudges reminders")):
        return True
    return any(word in _UNTIL for word in words) and _all_in(words, _AWAY, _TIME, _POLITE)


def _is_pause_until(sentence: str) -> bool:
    """A pause until something that is no day: "pause until yesterday", "pause till the quarter is over"."""
    words = [word for word in sentence.split() if word not in _BEFORE_A_PAUSE]
    fixed = _repair(words[:1], ("pause", "snooze", "pausiere", "pausa")) + words[1:]
    return 2 <= len(fixed) <= LONGEST_COMMAND and fixed[0] in _PAUSE_VERBS and fixed[1] in _UNTIL


def recognise(text: str, today: date) -> Intent:
    """The intent of a message. ``today``: the person's local day, for "until Monday".

    Silence wins: one sentence that says nothing but stop, or pause, decides, wherever it stands.
    """
    sentences = _sentences(text)
    if not sentences:
        return _without_words(text)
    parts = sentences + [
        folded for part in re.split(r"[,:–—]|\s-\s", text[:2000]) if (folded := fold(part)) not in sentences
    ]
    parts = [part for part in parts if part]
    if any(_is_stop(part) for part in parts):
        return Intent(STOP)
    pausing = next((part for part in (*sentences, *parts) if _is_pause(part)), None)
    if pausing is not None:
        until = _until(pausing, text, today)
        named = any(word in _UNTIL or any(map(str.isdigit, word)) for word in pausing.split())
        return Intent(PAUSE, until) if until or not named else Intent(PAUSE_UNTIL_WHEN)
    if any(_is_pause_until(part) for part in sentences):
        return Intent(PAUSE_UNTIL_WHEN)
    whole = " ".join(sentences)
    words = whole.split()
    fixed = (
        _repair(words, ("delete", "resume", "thanks", "help", "loschen", "borrar"))
        if len(words) <= 4
        else words
    )
    short = [sentence.split() for sentence in sentences]
    if any(_all_in(_fixed(one), _DELETE_VERBS, _DELETE_THINGS, _POLITE, _ALL, _ALL_THINGS) for one in short):
        if any(pattern.search(whole) for pattern in _ME_PHRASES):
            return Intent(ME)
        everything = not _ALL.isdisjoint(_AT_ONCE.sub(" ", whole).split())
        return Intent(DELETE_ALL) if everything else Intent(DELETE)
    if whole.removeprefix("fullsteam ") in _ME_WORDS or any(
        pattern.search(sentence) for sentence in sentences for pattern in _ME_PHRASES
    ):
        return Intent(ME)
    if len(sentences) == 1 and any(pattern.match(whole) for pattern in _GOAL_PHRASES):
        return Intent(GOAL)
    asking = [each for each in sentences if not _OF_THE_CRM.search(each)]
    if any(pattern.search(each) for each in asking for pattern in _PRIVACY_PHRASES):
        return Intent(PRIVACY)
    if len(sentences) == 1:
        if _REMIND.match(whole) and all(
            word in _REMIND_THINGS | _TIME or word[0].isdigit() for word in words
        ):
            # "morgen" is tomorrow here, and no greeting
            return Intent(REMIND, _until(re.sub(r"\bmorgen\b", "bis morgen", whole), text, today))
        if any(pattern.match(whole) for pattern in _LATER):
            return Intent(LATER)
    if len(short) <= 2 and any(pattern.match(sentences[0]) for pattern in _DONE) and _only_thanks(short[1:]):
        return Intent(DONE)
    if _all_in(fixed, _RESUME_KEYS, _RESUME, _RESUME_THINGS, _POLITE) and "how" not in words:
        return Intent(RESUME)
    if _all_in(fixed, _HELP, _POLITE) or any(p.match(whole) for p in _HELP_PHRASES) or text.strip() == "?":
        return Intent(HELP)
    if any(sentence.startswith(_WHY_WORDS) and _whys(sentence) for sentence in sentences):
        return Intent(WHY)
    if _all_in(words, _GREETING_KEYS, _GREETINGS):
        return Intent(GREETING)
    if _all_in(words, _ALL_RIGHT_KEYS, _ALL_RIGHT_THINGS):
        return Intent(ALL_RIGHT)
    if _all_in(fixed, _THANKS_KEYS, _THANKS_THINGS, _POLITE, _GREETINGS) and "not" not in words:
        return Intent(THANKS)
    if text.rstrip().endswith("?") or any(
        _QUESTION_STARTS.match(sentence + " ") for sentence in sentences[:2]
    ):
        return Intent(QUESTION)
    return Intent(FEEDBACK)


def _fixed(words: list[str]) -> list[str]:
    return _repair(words, ("delete", "losche", "supprime", "borra")) if len(words) <= 3 else words


def _only_thanks(sentences: Sequence[Sequence[str]]) -> bool:
    return all(_all_in(one, _THANKS_KEYS, _THANKS_THINGS, _POLITE) for one in sentences)


def _whys(sentence: str) -> bool:
    """Whether a why is about our message ("why did you send me this"), not about the CRM."""
    words = sentence.split()
    return words.count(words[0]) == 1 and all(word in _WHY_THINGS for word in words)


def _without_words(text: str) -> Intent:
    """A message of signs and emoji only."""
    names = set(re.findall(r":([a-z0-9_+'-]+)(?:::skin-tone-\d)?:", text))
    if names & _GOOD_NAMES or any(char in _GOOD_EMOJI for char in text):
        return Intent(THANKS)
    if text.strip() == "?":
        return Intent(HELP)
    return Intent(FEEDBACK if text.strip() else NOTHING)


def _until(sentence: str, text: str, today: date) -> date | None:
    """The day that a pause ends on; None when none is named. Never past, never more than a year away."""
    found = _written_date(text, today) or _named_day(sentence.split(), today)
    if found is None or found <= today:
        return None
    return min(found, today + LONGEST_PAUSE)


def _written_date(text: str, today: date) -> date | None:
    """ISO dates, "24.12.", "24.12.2026". Slashes are ambiguous between continents and are not guessed."""
    iso = re.search(r"\b(\d{4})-(\d{2})-(\d{2})\b", text)
    dotted = re.search(r"\b(\d{1,2})\.\s?(\d{1,2})\.(\d{4})?", text)
    if iso:
        return _a_date(int(iso[1]), int(iso[2]), int(iso[3]))
    if dotted:
        return _coming(today, int(dotted[2]), int(dotted[1]), int(dotted[3]) if dotted[3] else None)
    return None


def _named_day(words: Sequence[str], today: date) -> date | None:
    for at, word in enumerate(words):
        if word in _MONTHS:
            near = [*reversed(words[max(0, at - 2) : at]), *words[at + 1 : at + 2]]
            days = [match[0] for each in near if (match := re.match(r"\d{1,2}", each))]
            if days:
                return _coming(today, _MONTHS[word], int(days[0]), None)
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        after = words[at + 1] if at + 1 < len(words) else ""
        number = int(before) if before.isdigit() else _NUMBERS.get(before)
        if word in _WEEKDAYS and (word not in _words("mon sun sat mar mars") or before in _UNTIL | _NEXT):
            ahead = (_WEEKDAYS[word] - today.weekday()) % 7 or 7
            return today + timedelta(days=ahead)
        if word in _TOMORROW or (word == "morgen" and before in _UNTIL):
            return today + timedelta(days=1)
        if word in _WEEKS and before in _NEXT:
            return today + timedelta(days=7 - today.weekday())
        if word in _WEEKS and after in _NEXT:
            return today + timedelta(days=7 - today.weekday())
        if number is not None and word in _DAYS and number <= 366:
            return today + timedelta(days=number)
        if number is not None and word in _WEEKS and number <= 52:
            return today + timedelta(weeks=number)
        if number is not None and word in _MONTH_WORDS and number <= 12:
            return _months_on(today, number)
        if word in _MONTH_WORDS and (before in _NEXT or after in _NEXT):
            return _months_on(today.replace(day=1), 1)
    return None


def _months_on(day: date, months: int) -> date:
    """The same day some months on; the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in range(day.day, 27, -1):
        found = _a_date(year, month + 1, last)
        if found is not None:
            return found
    return date(year, month + 1, day.day)


def _coming(today: date, month: int, day: int, year: int | None) -> date | None:
    """The next such day from today on."""
    found = _a_date(year or today.year, month, day)
    if found is not None and found <= today and year is None:
        return _a_date(today.year + 1, month, day)
    return found


def _a_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
